"""What comes back for a case, whatever way it was sent."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient

from core import Case, ImageInput, PatientMetadata
from core.diagnosis import schema
from dxtree.service import Judge
from tests.dxtree.service.conftest import PATIENT, form

CANARY = "canary-7f3a-Mrs-Miller"


def as_json(jpegs: dict[str, bytes], **more: Any) -> dict[str, Any]:
    images = [{"modality": m, "data": base64.b64encode(d).decode()} for m, d in jpegs.items()]
    return {"id": "one", "patient": PATIENT, "images": images} | more


def serial(judge: Judge, jpegs: dict[str, bytes]) -> dict[str, Any]:
    images = tuple(ImageInput(modality=m, data=d) for m, d in jpegs.items())
    case = Case(id="one", images=images, patient=PatientMetadata(**PATIENT))
    return json.loads(json.dumps(judge.pipeline.diagnose(case).to_dict()))


def test_a_form_gets_the_answer_of_diagnose_to_the_bit(
    client: TestClient, judge: Judge, jpegs: dict[str, bytes]
) -> None:
    told = {"case": json.dumps({"id": "one", "patient": PATIENT})}
    answer = client.post("/v1/diagnose", files=form(jpegs), data=told)
    assert answer.status_code == 200
    assert answer.json() == serial(judge, jpegs)
    jsonschema.validate(answer.json(), schema())


def test_json_gets_the_same_answer_as_a_form(
    client: TestClient, judge: Judge, jpegs: dict[str, bytes]
) -> None:
    assert client.post("/v1/diagnose", json=as_json(jpegs)).json() == serial(judge, jpegs)


def test_metadata_that_is_left_out_is_missing_and_never_a_default(
    client: TestClient, jpegs: dict[str, bytes]
) -> None:
    answer = client.post("/v1/diagnose", files=form(jpegs)).json()
    assert {"age_years", "sex", "site"} <= set(answer["missing"])


def test_two_images_of_one_modality_may_be_sent(client: TestClient, jpegs: dict[str, bytes]) -> None:
    twice = [*form(jpegs), *form(jpegs)]
    assert client.post("/v1/diagnose", files=twice).status_code == 200


def test_contributions_come_where_they_are_asked_for(client: TestClient, jpegs: dict[str, bytes]) -> None:
    answer = client.post("/v1/diagnose", json=as_json(jpegs, options={"explain": ["Malignant"]})).json()
    assert [c["node"] for c in answer["contributions"]] == ["Malignant"]
    assert "contributions" not in client.post("/v1/diagnose", json=as_json(jpegs)).json()


def test_prevalence_moves_the_answer(client: TestClient, jpegs: dict[str, bytes]) -> None:
    plain = client.post("/v1/diagnose", json=as_json(jpegs)).json()["tree"]["Malignant"]
    told = as_json(jpegs, options={"prevalence": {"Malignant": 0.001}})
    assert client.post("/v1/diagnose", json=told).json()["tree"]["Malignant"] < plain


def test_a_broken_image_beside_a_good_one_is_a_partial_answer_unless_strict(
    client: TestClient, jpegs: dict[str, bytes]
) -> None:
    names = list(jpegs)
    broken = {names[0]: jpegs[names[0]], names[1]: jpegs[names[1]][:900]}
    assert client.post("/v1/diagnose", json=as_json(broken)).json()["status"] == "partial"
    strict = client.post("/v1/diagnose", json=as_json(broken, options={"strict": True}))
    assert (strict.status_code, strict.json()["code"]) == (422, "CorruptImage")


REFUSED = [
    ({"images": []}, 422, "CaseError"),
    ({"images": [{"modality": "clinical", "path": "/etc/passwd"}]}, 422, "CaseError"),
    ({"images": [{"modality": "clinical", "url": "http://example.org/a.jpg"}]}, 422, "CaseError"),
    ({"images": [{"modality": "clinical", "data": "not base64!"}]}, 422, "CaseError"),
    ({"images": [{"modality": "clinical", "data": ""}]}, 422, "EmptyInput"),
    ({"images": [{"modality": "clinical", "data": "R0lGODlh"}]}, 415, "UnsupportedFormat"),
    ({"images": [{"modality": "sonar", "data": "R0lGODlh"}]}, 422, "UnknownModality"),
    ({"images": [{"modality": 7, "data": "R0lGODlh"}]}, 422, "CaseError"),
    ({"patient": {"age_years": -1}}, 422, "MetadataError"),
    ({"patient": {"age_years": "61"}}, 422, "MetadataError"),
    ({"patient": {"sex": CANARY}}, 422, "MetadataError"),
    ({"patient": {"site": CANARY}}, 422, "MetadataError"),
    ({"patient": {CANARY: 1}}, 422, "MetadataError"),
    ({"patient": []}, 422, "MetadataError"),
    ({"id": ""}, 422, "CaseError"),
    ({"id": "x" * 300}, 422, "CaseError"),
    ({CANARY: 1}, 422, "CaseError"),
    ({"options": {"explain": ["no such node"]}}, 422, "UnknownNode"),
    ({"options": {"explain": "Malignant"}}, 422, "CaseError"),
    ({"options": {"prevalence": {"Malignant": 2}}}, 422, "TaxonomyError"),
    ({"options": {CANARY: True}}, 422, "CaseError"),
]


@pytest.mark.parametrize(("change", "status", "code"), REFUSED)
def test_what_cannot_be_judged_is_a_typed_problem_without_a_value_of_the_patient(
    client: TestClient,
    jpegs: dict[str, bytes],
    caplog: pytest.LogCaptureFixture,
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    answer = client.post("/v1/diagnose", json=as_json(jpegs) | change)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert CANARY not in answer.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b'{"images": [], "id": NaN}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"x", "text/plain", 415),
        (b"x", "", 415),
        (b"x", "multipart/form-data", 400),
        (b"x", "multipart/form-data; boundary=b", 400),
        (b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b", 400),
        (b"a=1", "application/x-www-form-urlencoded", 415),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(
    client: TestClient, body: bytes, kind: str, status: int
) -> None:
    answer = client.post("/v1/diagnose", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["code"]


def test_a_form_s_fields_are_images_and_one_case(client: TestClient, jpegs: dict[str, bytes]) -> None:
    for fields in ({"age": "61"}, {"case": json.dumps({"images": []})}, {"case": "{"}):
        answer = client.post("/v1/diagnose", files=form(jpegs), data=fields)
        assert answer.status_code in (400, 422)
    assert client.post("/v1/diagnose", files=form(jpegs) * 9).status_code == 400


def test_nothing_of_a_case_is_logged(
    client: TestClient, jpegs: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.post("/v1/diagnose", json=as_json(jpegs, id=CANARY))
    named = [(m, (f"{CANARY}.jpg", d, "image/jpeg")) for m, d in jpegs.items()]
    client.post("/v1/diagnose", files=named, data={"case": json.dumps({"id": CANARY})})
    own = [r.getMessage() for r in caplog.records if r.name == "dxtree.service"]
    assert len(own) == 2
    assert all("/v1/diagnose 200" in text for text in own)
    assert not any(CANARY in text or "female" in text for text in own)


def test_the_answer_bears_no_trace_of_a_cache_or_another_site(client: TestClient) -> None:
    headers = client.get("/v1/models").headers
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert headers["x-request-id"]
