"""Sets of a stated coverage in the answers of service, page and command line, and when there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from core.cells import Cells
from core.diagnosis import schema
from core.errors import ContractError
from core.set_rule import Quantile, SetRule
from dxtree.audit import AuditTrail
from dxtree.audit.verifying import records
from dxtree.cli.main import app
from dxtree.page.wording import words
from dxtree.service import Judge, ServiceSettings, make_app
from dxtree.set_of import read_rule
from tests.dxtree.service.conftest import form


def rule_of(judge: Judge, quantile: float = 0.9, **given: Any) -> SetRule:
    cells = Cells(judge.pipeline.partition, 1)
    each = tuple(Quantile(quantile, 40, judge.pipeline.partition.taxonomy.root) for _ in cells.ids)
    return SetRule(
        cells,
        **({"coverage": 0.9, "score": "lac", "quantiles": each, "per_class": False, "lesions": 40} | given),
    )


@pytest.fixture(scope="module")
def rule(judge: Judge) -> SetRule:
    return rule_of(judge)


@pytest.fixture(scope="module")
def setting(judge: Judge, rule: SetRule, tmp_path_factory: pytest.TempPathFactory) -> Any:
    trail = AuditTrail(tmp_path_factory.mktemp("trail") / "trail.jsonl")
    own = Judge(judge.registry, judge.models, judge.pipeline, trail, rule)
    with TestClient(make_app(own, ServiceSettings()), raise_server_exceptions=False) as client:
        yield client, own, trail


def test_the_answer_has_the_set_of_its_probabilities_and_keeps_the_schema(
    setting: Any, jpegs: dict[str, bytes], rule: SetRule
) -> None:
    client, own, trail = setting
    answer = client.post("/v1/diagnose", files=form(jpegs)).json()
    jsonschema.validate(answer, schema())
    told = answer["prediction_set"]
    assert told["coverage"] == 0.9
    within = {c for c, n in zip(rule.cells.ids, rule.cells.nodes, strict=True) if answer["tree"][n] >= 0.1}
    assert {m["id"] for m in told["members"]} == within
    assert list(records(trail.path))[-1]["prediction_set"]["coverage"] == 0.9
    assert client.get("/v1/models").json()["prediction_sets"]["lesions"] == 40
    assert own.sets is rule


def test_without_a_rule_nothing_is_said_of_sets(client: TestClient, jpegs: dict[str, bytes]) -> None:
    assert "prediction_set" not in client.post("/v1/diagnose", files=form(jpegs)).json()
    assert client.get("/v1/models").json()["prediction_sets"] is None


def test_where_its_coverage_would_not_hold_there_is_no_set_but_a_reason(
    setting: Any, jpegs: dict[str, bytes]
) -> None:
    client, *_ = setting
    moved = {"case": json.dumps({"options": {"prevalence": {"Malignant": 0.01}}})}
    broken = {"clinical": jpegs["clinical"], "dermoscopy": jpegs["dermoscopy"][:900]}
    for files, data, reason in (
        (form(jpegs), moved, "prevalence"),
        (form(broken), {}, "left out"),
    ):
        answer = client.post("/v1/diagnose", files=files, data=data).json()
        assert answer["prediction_set"] is None
        (why,) = [n["text"] for n in answer["notices"] if n["code"] == "NoPredictionSet"]
        assert reason in why
        jsonschema.validate(answer, schema())


def test_an_abstaining_answer_gives_its_reason_and_no_set(
    judge: Judge, rule: SetRule, jpegs: dict[str, bytes]
) -> None:
    from dataclasses import replace

    unsure = Judge(judge.registry, judge.models, replace(judge.pipeline, abstain_below=1.01), None, rule)
    with TestClient(make_app(unsure, ServiceSettings())) as client:
        answer = client.post("/v1/diagnose", files=form(jpegs)).json()
        page = client.post("/diagnose?lang=en", files=form(jpegs)).text
    assert (answer["status"], answer["prediction_set"]) == ("abstained", None)
    assert {"LowConfidence", "NoPredictionSet"} <= {n["code"] for n in answer["notices"]}
    assert "no first-level group reaches" in page


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_lists_the_members_and_the_coverage(
    setting: Any, jpegs: dict[str, bytes], language: str
) -> None:
    client, *_ = setting
    told = client.post("/v1/diagnose", files=form(jpegs)).json()["prediction_set"]
    page = client.post(f"/diagnose?lang={language}", files=form(jpegs)).text
    part = page[page.index('class="set"') :]
    assert all(m["name"] in part for m in told["members"])
    assert "90" in part[:600]
    assert len(told["members"]) == 1
    assert words(language)["set.cover"] not in part  # what covers one member is the member


def test_a_rule_is_read_back_and_what_is_none_is_refused(judge: Judge, rule: SetRule, tmp_path: Path) -> None:
    partition, file = judge.pipeline.partition, tmp_path / "rule.json"
    file.write_text(json.dumps(rule.to_dict()))
    assert read_rule(file, partition) == rule
    random = rule_of(judge, score="aps_randomised")
    for text in (
        "{",
        "[]",
        "{}",
        "[" * 100_000,
        json.dumps(rule.to_dict() | {"partition": "another"}),
        json.dumps(random.to_dict()),
    ):
        file.write_text(text)
        with pytest.raises(ContractError):
            read_rule(file, partition)
    with pytest.raises(ContractError):
        read_rule(tmp_path / "absent.json", partition)


def test_the_command_line_gives_the_set_of_the_service(
    setting: Any, jpegs: dict[str, bytes], rule: SetRule, tmp_path: Path
) -> None:
    client, *_ = setting
    (tmp_path / "rule.json").write_text(json.dumps(rule.to_dict()))
    given = ["--models", "demonstration", "--prediction-sets", str(tmp_path / "rule.json")]
    for modality, data in jpegs.items():
        (tmp_path / modality).write_bytes(data)
        given += ["--image", f"{modality}={tmp_path / modality}"]
    done = CliRunner().invoke(app, ["diagnose", *given, "--json"])
    assert done.exit_code == 0, done.output
    told = client.post("/v1/diagnose", files=form(jpegs)).json()["prediction_set"]
    found = json.loads(done.stdout)["prediction_set"]
    assert [m["id"] for m in found["members"]] == [m["id"] for m in told["members"]]
    assert "90% set at level 1" in CliRunner().invoke(app, ["diagnose", *given]).output
