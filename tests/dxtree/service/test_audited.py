"""Every answer of an audited service is on the disk before it is given."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.testclient import TestClient

from dxtree.audit import AuditTrail
from dxtree.service import Judge, KeyRing, ServiceSettings, make_app
from tests.dxtree.service.conftest import form


def audited(judge: Judge, trail: AuditTrail, settings: ServiceSettings) -> TestClient:
    own = Judge(judge.registry, judge.models, judge.pipeline, trail)
    return TestClient(make_app(own, settings), raise_server_exceptions=False)


def test_an_answer_is_recorded_under_the_name_of_who_asked(
    judge: Judge, jpegs: dict[str, bytes], tmp_path: Path
) -> None:
    ring, keys, file = KeyRing({}), tmp_path / "keys", tmp_path / "trail.jsonl"
    key = ring.add("clinic")
    ring.write(keys)
    with audited(judge, AuditTrail(file), ServiceSettings(keys=keys)) as client:
        told = {"case": json.dumps({"id": "Mrs-Miller"})}
        headers = {"authorization": f"Bearer {key}"}
        assert client.post("/v1/diagnose", files=form(jpegs), data=told, headers=headers).status_code == 200
        assert client.post("/v1/diagnose", files=form(jpegs), data=told).status_code == 401
    lines = file.read_text("utf-8").splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["actor"] == "clinic"
    assert "Mrs-Miller" not in lines[0]


def test_no_answer_is_given_that_cannot_be_recorded(
    judge: Judge, jpegs: dict[str, bytes], tmp_path: Path
) -> None:
    file = tmp_path / "trail.jsonl"
    with audited(judge, AuditTrail(file), ServiceSettings()) as client:
        assert client.post("/v1/diagnose", files=form(jpegs)).status_code == 200
        file.unlink()
        file.mkdir()
        refused = client.post("/v1/diagnose", files=form(jpegs))
    assert refused.status_code >= 500
    assert refused.json()["code"] == "AuditError"
    assert "ranked" not in refused.text
