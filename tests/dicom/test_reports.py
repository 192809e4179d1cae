"""Do the judges accept the structured report and the FHIR bundle, and do both say what the answer says?"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.case import Case, ImageInput, PatientMetadata
from core.diagnosis import RESEARCH_USE, Diagnosis
from core.errors import CaseError, InputError
from core.pipeline import Pipeline
from dxtree.cli.main import app
from dxtree.cohorts import make_lesion
from dxtree.exchange import structured_report, to_fhir
from dxtree.exchange.shown import shown_nodes
from modalities.dicom import DicomCase, DicomReader, case_from_dicom
from plugins.assembly import default_pipeline

pytest.importorskip("highdicom", reason="the extra dicom is not installed")
import highdicom

Make = Callable[..., bytes]
PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
PATIENT: dict[int, Any] = {
    0x00080005: ("CS", "ISO_IR 100"),
    0x00080020: ("DA", "20260301"),
    0x00080030: ("TM", "101500"),
    0x00080050: ("SH", "A-17"),
    0x00100010: ("PN", "M\xfcller^J\xf6rg"),
    0x00100020: ("LO", "MRN-4711"),
    0x00100040: ("CS", "M"),
    0x00101010: ("AS", "062Y"),
}


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return default_pipeline()


@pytest.fixture(scope="module")
def files(make: Make, region_of: Callable[..., Any]) -> list[bytes]:
    """Both views of a drawn lesion, as two instances of one study."""
    views = {view: np.asarray(Image.open(io.BytesIO(jpeg))) for view, jpeg in make_lesion(7, 0).jpegs.items()}
    known = PATIENT | region_of("66643007")
    other = {0x00080018: ("UI", "1.2.3.4.6")}
    return [make(views["dermoscopy"], known), make(views["clinical"], known | other, sop_class=PHOTOGRAPH)]


@pytest.fixture(scope="module")
def source(reader: DicomReader, files: list[bytes]) -> DicomCase:
    return case_from_dicom(files, identity=True, reader=reader)


@pytest.fixture(scope="module")
def answer(pipeline: Pipeline, source: DicomCase) -> Diagnosis:
    return pipeline.diagnose(source.case)


@pytest.fixture(scope="module")
def abstained(pipeline: Pipeline, colours: npt.NDArray[np.uint8]) -> Diagnosis:
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "PNG")
    image = ImageInput(modality="clinical", data=file.getvalue())
    return pipeline.diagnose(Case(images=(image,)))


def written(report: pydicom.Dataset, path: Path) -> Path:
    report.save_as(path, enforce_file_format=True)
    return path


def evaluations(group: Any) -> dict[str, str]:
    """Meaning to code of what we say of the answer in our own scheme."""
    found = group.get_qualitative_evaluations()
    return {e.name.meaning: e.value.value for e in found if e.name.scheme_designator == "99DXTREE"}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("kind", ["answer", "abstained"])
def test_dciodvfy_finds_no_error_in_a_report(
    request: pytest.FixtureRequest, source: DicomCase, tmp_path: Path, kind: str
) -> None:
    path = written(structured_report(request.getfixturevalue(kind), source), tmp_path / "r.dcm")
    done = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    told = (done.stdout + done.stderr).splitlines()
    assert "ComprehensiveSR" in told
    assert [line for line in told if line.startswith(("Error", "Abort"))] == []
    warnings = {line for line in told if line.startswith("Warning")}
    assert all("99DXTREE" in line or "DICOMDIR" in line for line in warnings), warnings


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
def test_dciodvfy_would_find_an_error(answer: Diagnosis, source: DicomCase, tmp_path: Path) -> None:
    report = structured_report(answer, source)
    del report.CompletionFlag
    done = subprocess.run(
        ["dciodvfy", written(report, tmp_path / "r.dcm")], capture_output=True, text=True, check=False
    )
    assert any(line.startswith("Error") for line in (done.stdout + done.stderr).splitlines())


@pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dcmtk is not installed")
def test_dcmtk_reads_the_report_too(answer: Diagnosis, source: DicomCase, tmp_path: Path) -> None:
    path = written(structured_report(answer, source), tmp_path / "r.dcm")
    done = subprocess.run(["dsrdump", path], capture_output=True, encoding="utf-8", check=True)
    assert "Müller^Jörg" in done.stdout
    assert "PRELIMINARY" in done.stdout
    assert "UNVERIFIED" in done.stdout
    assert "For research use only" in done.stdout
    assert [line for line in done.stderr.splitlines() if not line.startswith("W: The VR checker")] == []


def test_every_group_of_the_report_holds_its_nodes_probability_and_sources(
    answer: Diagnosis, source: DicomCase, tmp_path: Path
) -> None:
    path = written(structured_report(answer, source), tmp_path / "r.dcm")
    report = highdicom.sr.srread(path)
    groups = report.content.get_image_measurement_groups()
    assert answer.tree is not None
    nodes = shown_nodes(answer)
    assert [group.tracking_identifier for group in groups] == list(nodes)
    for node, group in zip(nodes, groups, strict=True):
        (measurement,) = group.get_measurements()
        assert measurement.name.value == "122157"
        assert measurement.value == pytest.approx(answer.tree[node], rel=1e-5)
        assert measurement.unit.value == "1"
        assert [s.value.value for s in group.finding_sites] == ["77568009"]
        assert {i.referenced_sop_instance_uid for i in group.source_images} == {"1.2.3.4.5", "1.2.3.4.6"}
    assert evaluations(groups[0]) == {"Status of the answer": "COMPLETE", "Restriction of use": "RESEARCH"}
    assert f"model set sha256: {answer.provenance['digest']}".encode() in path.read_bytes()


def test_the_report_belongs_to_the_patient_and_the_study_of_its_images(
    answer: Diagnosis, source: DicomCase, tmp_path: Path
) -> None:
    when = datetime(2026, 3, 2, 12, 30, 5, tzinfo=UTC)
    report = pydicom.dcmread(written(structured_report(answer, source, at=when), tmp_path / "r.dcm"))
    assert (report.PatientID, str(report.PatientName)) == ("MRN-4711", "Müller^Jörg")
    assert (report.StudyInstanceUID, report.AccessionNumber) == ("1.2.3.4", "A-17")
    assert (report.ContentDate, report.ContentTime) == ("20260302", "123005")
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    found = [item.ReferencedSOPInstanceUID for series in evidence for item in series.ReferencedSOPSequence]
    assert sorted(found) == ["1.2.3.4.5", "1.2.3.4.6"]


def test_an_answer_that_abstains_is_reported_without_a_finding(
    abstained: Diagnosis, source: DicomCase, tmp_path: Path
) -> None:
    assert abstained.status == "abstained"
    report = highdicom.sr.srread(written(structured_report(abstained, source), tmp_path / "r.dcm"))
    (group,) = report.content.get_image_measurement_groups()
    assert group.finding_type is None
    assert group.get_measurements() == []
    assert evaluations(group)["Status of the answer"] == "ABSTAINED"


def test_a_report_needs_the_identity_and_the_study_of_its_images(
    reader: DicomReader, make: Make, colours: npt.NDArray[np.uint8], files: list[bytes], answer: Diagnosis
) -> None:
    with pytest.raises(CaseError, match="identity=True"):
        structured_report(answer, case_from_dicom(files, reader=reader))
    nameless = case_from_dicom([make(colours, without=(0x0020000D,))], identity=True, reader=reader)
    with pytest.raises(CaseError, match="StudyInstanceUID"):
        structured_report(answer, nameless)


def bundle(answer: Diagnosis, **options: Any) -> dict[str, Any]:
    made = to_fhir(PatientMetadata(age_years=62.0, sex="male", site="back"), answer, **options)
    again: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return again


def faults_of(resource: dict[str, Any]) -> list[str]:
    """What the two judges, of which neither sees all, find wrong."""
    models = pytest.importorskip("fhir.resources.R4B")
    judge = pytest.importorskip("pyrofile_validator")
    found = [f"{issue.code} {issue.path}" for issue in judge.Validator().validate_resource(resource).issues]
    try:
        models.get_fhir_model_class("Bundle").model_validate(resource)
    except ValueError as error:
        found.append(str(error))
    return found


@pytest.mark.parametrize("kind", ["answer", "abstained"])
@pytest.mark.parametrize("subject", [None, "Patient/123"])
def test_the_validators_find_no_error_in_a_bundle(
    request: pytest.FixtureRequest, kind: str, subject: str | None
) -> None:
    found = faults_of(bundle(request.getfixturevalue(kind), subject=subject))
    # Whom a bundle is about lies on the receiving server, so nobody here can follow that reference.
    expected = {"reference.unresolved DiagnosticReport.subject", "reference.unresolved Observation.subject"}
    assert set(found) <= (expected if subject else set())


@pytest.mark.parametrize("damage", ["status", "element", "reference", "instant"])
def test_the_validators_would_find_an_error(answer: Diagnosis, damage: str) -> None:
    made = bundle(answer)
    report, observation = made["entry"][0]["resource"], made["entry"][1]["resource"]
    if damage == "status":
        report["status"] = "certain"
    elif damage == "element":
        observation["valueProbability"] = 0.5
    elif damage == "reference":
        observation["device"]["reference"] = "urn:uuid:00000000-0000-4000-8000-000000000000"
    else:
        observation["issued"] = "yesterday"
    assert faults_of(made)


def test_the_bundle_says_what_the_answer_says(answer: Diagnosis) -> None:
    made = bundle(answer, subject="Patient/123", at=datetime(2026, 3, 2, 12, 30, tzinfo=UTC))
    report, observation, device = (entry["resource"] for entry in made["entry"])
    assert answer.tree is not None
    nodes = shown_nodes(answer)
    taxonomy = answer.tree.sums.partition.taxonomy
    assert [report["status"], observation["status"]] == ["preliminary"] * 2
    assert RESEARCH_USE in report["conclusion"]
    assert RESEARCH_USE in observation["note"][0]["text"]
    assert report["subject"] == observation["subject"] == {"reference": "Patient/123"}
    assert observation["issued"] == "2026-03-02T12:30:00+00:00"
    components = observation["component"]
    assert [c["code"]["coding"][-1]["code"] for c in components] == list(nodes)
    for node, component in zip(nodes, components, strict=True):
        assert component["valueQuantity"]["value"] == pytest.approx(answer.tree[node], rel=1e-5)
        assert component["code"]["text"] == taxonomy.label(node)
    assert observation["bodySite"]["coding"][0]["code"] == "77568009"
    assert observation["device"]["reference"] == made["entry"][2]["fullUrl"]
    versions = {v["type"]["text"]: v["value"] for v in device["version"]}
    assert versions["model set sha256"] == answer.provenance["digest"]
    text = json.dumps(made)
    assert "4711" not in text
    assert "62" not in [str(v) for v in observation.values()]


def test_a_bundle_without_an_answer_says_so(abstained: Diagnosis) -> None:
    observation = bundle(abstained)["entry"][1]["resource"]
    assert "valueCodeableConcept" not in observation
    assert "component" not in observation
    assert observation["dataAbsentReason"]["coding"][0]["code"] == "unknown"


def test_a_time_without_zone_and_an_empty_subject_are_refused(answer: Diagnosis) -> None:
    with pytest.raises(InputError, match="time zone"):
        bundle(answer, at=datetime(2026, 3, 2))
    with pytest.raises(InputError, match="subject"):
        bundle(answer, subject=" ")


def test_the_command_reads_dicom_and_writes_both_reports(files: list[bytes], tmp_path: Path) -> None:
    for number, content in enumerate(files):
        (tmp_path / f"{number}.dcm").write_bytes(content)
    report, made = tmp_path / "report.dcm", tmp_path / "bundle.json"
    command = [
        sys.executable, "-m", "dxtree", "diagnose", "--models", "demonstration",
        "--dicom", tmp_path / "0.dcm", "--dicom", tmp_path / "1.dcm", "--age", "40",
        "--dicom-sr", report, "--fhir", made, "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["used"] == ["clinical", "dermoscopy", "age_years", "sex", "site"]
    assert [n["code"] for n in told["notices"]] == ["DicomIdentified"]
    assert "4711" not in done.stdout + done.stderr
    assert pydicom.dcmread(report).PatientID == "MRN-4711"
    assert json.loads(made.read_text("utf-8"))["resourceType"] == "Bundle"
    assert b"4711" not in made.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--dicom", "0.dcm", "--refuse", "identified"], "refused"),
        (["--dicom", "0.dcm", "--image", "clinical=a.jpg"], "either --dicom"),
        (["--dicom-sr", "r.dcm", "--image", "clinical=a.jpg"], "go with --dicom"),
        (["--dicom", "0.dcm", "--frame", "first"], "whole number"),
    ],
)
def test_options_that_do_not_go_together_are_a_fault(
    files: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0.dcm").write_bytes(files[0])
    done = CliRunner().invoke(app, ["diagnose", *arguments])
    assert isinstance(done.exception, InputError)
    assert told in done.exception.safe_message


def test_the_json_of_a_report_is_valid_for_any_site(answer: Diagnosis) -> None:
    from core.case import body_sites

    for site in (None, *body_sites().ids[1:]):
        observation = to_fhir(PatientMetadata(site=site), answer)["entry"][1]["resource"]
        assert ("bodySite" in observation) == (site is not None)
    assert io.BytesIO(json.dumps(to_fhir(None, answer)).encode()).read()
