"""Who is let in, and what is refused at the door."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from core.errors import InputError
from dxtree.service import Judge, KeyRing, ServiceSettings, make_app
from tests.dxtree.service.conftest import form


def test_another_site_s_page_is_refused(client: TestClient) -> None:
    foreign = client.get("/v1/models", headers={"origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (403, "ForeignOrigin")
    own = client.get("/v1/models", headers={"origin": "http://testserver"})
    assert own.status_code == 200


def test_a_name_that_somebody_else_points_here_is_refused(client: TestClient) -> None:
    answer = client.get("/v1/models", headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (421, "UnknownHost")


@pytest.mark.parametrize("size", [5_000, 50_000])
def test_a_body_over_the_limit_is_refused_whether_it_says_its_length_or_not(judge: Judge, size: int) -> None:
    app = make_app(judge, ServiceSettings(body_bytes=4_000))
    with TestClient(app) as client:
        headers = {"content-type": "application/json"}
        told = client.post("/v1/diagnose", content=b"x" * size, headers=headers)
        streamed = client.post(
            "/v1/diagnose", content=(b"x" * 1_000 for _ in range(size // 1_000)), headers=headers
        )
        assert [told.status_code, streamed.status_code] == [413, 413]


def test_bodies_in_memory_are_bounded_over_all_requests_and_freed_again(
    judge: Judge, jpegs: dict[str, bytes]
) -> None:
    app = make_app(judge, ServiceSettings(bytes_in_flight=1_024))
    with TestClient(app) as client:
        for _ in range(3):
            full = client.post("/v1/diagnose", files=form(jpegs))
            assert (full.status_code, full.json()["code"]) == (503, "Busy")
            assert int(full.headers["retry-after"]) >= 1
        assert "dxtree_body_bytes_held 0.0" in client.get("/metrics").text


def test_only_holders_of_a_key_may_ask(judge: Judge, tmp_path: Path) -> None:
    ring, file = KeyRing({}), tmp_path / "keys"
    key = ring.add("clinic")
    ring.write(file)
    with TestClient(make_app(judge, ServiceSettings(keys=file))) as client:
        for headers in ({}, {"authorization": "Bearer dxt_wrong"}, {"authorization": f"Basic {key}"}):
            refused = client.get("/v1/models", headers=headers)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"] == "Bearer"
        assert client.get("/v1/models", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert client.get("/healthz").status_code == 200


def test_a_file_of_keys_holds_no_key_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    ring, file = KeyRing({}), tmp_path / "keys"
    key = ring.add("clinic")
    ring.write(file)
    assert key.removeprefix("dxt_") not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    again = KeyRing.read(file)
    assert again.name_of(key) == "clinic"
    assert again.name_of(key[:-1]) is None
    again.remove("clinic")
    assert again.name_of(key) is None


@pytest.mark.parametrize("text", ["clinic", "clinic abc", "a b c", f"x {'0' * 64}\nx {'1' * 64}"])
def test_a_damaged_file_of_keys_stops_the_service(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    with pytest.raises(InputError, match="line"):
        KeyRing.read(tmp_path / "keys")


def test_names_of_keys_are_checked() -> None:
    ring = KeyRing({})
    ring.add("a")
    for name in ("a", "", "with space", "x" * 65):
        with pytest.raises(InputError):
            ring.add(name)
    with pytest.raises(InputError):
        ring.remove("b")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"host": "0.0.0.0"}, "give keys"),  # noqa: S104
        ({"host": "0.0.0.0", "keys": Path("k")}, "unencrypted"),  # noqa: S104
        ({"host": "::", "keys": Path("k")}, "unencrypted"),
        ({"host": "clinic.example"}, "give keys"),
        ({"certificate": Path("c")}, "go together"),
        ({"port": 70_000}, "port"),
        ({"waiting": -1}, "waiting"),
    ],
)
def test_the_network_is_reached_only_with_keys_and_encryption(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        ServiceSettings(**given)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_neither(host: str) -> None:
    assert ServiceSettings(host=host).is_loopback


def test_methods_and_paths_that_do_not_exist_are_problems(client: TestClient) -> None:
    assert client.get("/v1/diagnose").json()["code"] == "MethodNotAllowed"
    assert client.get("/nothing").json()["code"] == "NotFound"
    assert client.get("/docs").status_code == 404
    assert client.get("/v1/taxonomies/nothing").json()["code"] == "NotFound"
    assert client.get("/v1/taxonomies/synthetic").json()["name"] == "synthetic"


def test_meters_count_by_route_and_status(client: TestClient) -> None:
    client.get("/v1/modalities")
    page = client.get("/metrics").text
    assert 'dxtree_requests_total{route="/v1/modalities",status="200"}' in page
    assert "dxtree_request_seconds_bucket" in page
