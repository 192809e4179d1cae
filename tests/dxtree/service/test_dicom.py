"""DICOM files among the images of a request: frames, coded facts, contradictions, damage."""

from __future__ import annotations

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from dxtree.service import Judge, ServiceSettings, make_app
from tests.dicom.conftest import dicom_file, region
from tests.dxtree.service.conftest import running

BACK = "77568009"
FACTS = {0x00100040: ("CS", "F"), 0x00101010: ("AS", "061Y"), 0x00120062: ("CS", "YES")} | region(BACK)
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
FRAMES = "1.2.840.10008.5.1.4.1.1.7.4"


@pytest.fixture(scope="module")
def pixels(jpegs: dict[str, bytes]) -> dict[str, Any]:
    """The drawn lesion by modality, as a decoder shows it."""
    return {m: np.asarray(Image.open(io.BytesIO(d)).convert("RGB")) for m, d in jpegs.items()}


@pytest.fixture(scope="module")
def dermoscopy(pixels: dict[str, Any]) -> bytes:
    return dicom_file(pixels["dermoscopy"], FACTS)


def png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def sent(client: TestClient, *parts: tuple[str, bytes, str], **case: Any) -> Any:
    files = [(name, ("x", data, kind)) for name, data, kind in parts]
    return client.post("/v1/diagnose", files=files, data={"case": json.dumps(case)})


def test_a_dicom_file_gets_the_answer_of_its_pixels_and_facts(
    client: TestClient, dermoscopy: bytes, pixels: dict[str, Any]
) -> None:
    found = sent(client, ("dicom", dermoscopy, "application/dicom"))
    patient = {"age_years": 61, "sex": "female", "site": "back"}
    plain = sent(client, ("dermoscopy", png(pixels["dermoscopy"]), "image/png"), patient=patient)
    assert (found.status_code, plain.status_code) == (200, 200)
    assert found.json() == plain.json()
    assert {"dermoscopy", "age_years", "sex", "site"} <= set(found.json()["used"])


@pytest.mark.parametrize(
    ("name", "kind"), [("dicom", "image/jpeg"), ("dermoscopy", "application/octet-stream"), ("dicom", "")]
)
def test_its_bytes_show_it_whatever_it_is_called(
    client: TestClient, dermoscopy: bytes, name: str, kind: str
) -> None:
    assert sent(client, (name, dermoscopy, kind)).json()["used"][0] == "dermoscopy"


def test_json_takes_it_in_base64(client: TestClient, dermoscopy: bytes) -> None:
    image = {"modality": "dicom", "data": base64.b64encode(dermoscopy).decode()}
    as_json = client.post("/v1/diagnose", json={"images": [image]})
    assert as_json.json() == sent(client, ("dicom", dermoscopy, "application/dicom")).json()


def test_it_stands_beside_other_images_in_any_order(
    client: TestClient, dermoscopy: bytes, jpegs: dict[str, bytes]
) -> None:
    parts = [("dicom", dermoscopy, "application/dicom"), ("clinical", jpegs["clinical"], "image/jpeg")]
    one, other = sent(client, *parts), sent(client, *reversed(parts))
    assert one.json() == other.json()
    assert {"clinical", "dermoscopy", "sex"} <= set(one.json()["used"])


def test_what_the_request_states_may_not_contradict_the_file(client: TestClient, dermoscopy: bytes) -> None:
    part = ("dicom", dermoscopy, "application/dicom")
    for field, value in (("sex", "male"), ("age_years", 40), ("site", "head_neck")):
        answer = sent(client, part, patient={field: value})
        assert (answer.status_code, answer.json()["code"]) == (422, "MetadataError")
        assert field in answer.json()["detail"]
        assert str(value) not in answer.json()["detail"]
    for field, value in (("sex", "female"), ("age_years", 61.5), ("site", "trunk")):
        assert sent(client, part, patient={field: value}).status_code == 200


def test_files_of_two_sexes_are_refused(client: TestClient, pixels: dict[str, Any]) -> None:
    files = [dicom_file(pixels["dermoscopy"], FACTS | {0x00100040: ("CS", s)}) for s in "FM"]
    answer = sent(client, *(("dicom", f, "application/dicom") for f in files))
    assert (answer.status_code, answer.json()["code"]) == (422, "MetadataError")


def test_files_of_two_patients_are_refused(client: TestClient, pixels: dict[str, Any]) -> None:
    files = [dicom_file(pixels["dermoscopy"], {0x00100020: ("LO", name)}) for name in ("Mrs-Canary", "B")]
    answer = sent(client, *(("dicom", f, "application/dicom") for f in files))
    assert (answer.status_code, answer.json()["code"]) == (422, "CaseError")
    assert "Canary" not in answer.text


def test_of_several_frames_one_is_named_or_all_are_taken(client: TestClient, pixels: dict[str, Any]) -> None:
    both = [pixels["dermoscopy"], pixels["dermoscopy"][::-1]]
    part = ("dermoscopy", dicom_file(np.stack(both), sop_class=FRAMES), "application/dicom")
    refused = sent(client, part)
    assert (refused.status_code, refused.json()["code"]) == (422, "MultiFrame")
    second = sent(client, part, options={"frame": 2}).json()
    everything = sent(client, part, options={"frame": "all"}).json()
    pngs = [("dermoscopy", png(np.ascontiguousarray(p)), "image/png") for p in both]
    assert second["tree"] == sent(client, pngs[1]).json()["tree"]
    assert everything["tree"] == sent(client, *pngs).json()["tree"]
    for wrong in (0, -1, 3, 1.5, "some", True):
        assert sent(client, part, options={"frame": wrong}).status_code == 422


def test_more_frames_than_images_of_a_case_are_refused(judge: Judge, pixels: dict[str, Any]) -> None:
    data = dicom_file(np.stack([pixels["dermoscopy"][:64, :64]] * 3), sop_class=FRAMES)
    with TestClient(make_app(judge, ServiceSettings(images=2))) as client:
        answer = sent(client, ("dermoscopy", data, "application/dicom"), options={"frame": "all"})
    assert (answer.status_code, answer.json()["code"]) == (422, "CaseError")


def test_a_class_that_tells_no_modality_needs_a_name(client: TestClient, pixels: dict[str, Any]) -> None:
    data = dicom_file(pixels["dermoscopy"], sop_class=SECONDARY)
    refused = sent(client, ("dicom", data, "application/dicom"))
    assert (refused.status_code, refused.json()["code"]) == (422, "CaseError")
    assert sent(client, ("dermoscopy", data, "application/dicom")).status_code == 200


def test_what_is_to_be_said_of_a_file_is_a_notice_or_a_refusal(judge: Judge, pixels: dict[str, Any]) -> None:
    part = ("dicom", dicom_file(pixels["dermoscopy"]), "application/dicom")
    with TestClient(make_app(judge, ServiceSettings())) as client:
        assert "DicomIdentified" in {n["code"] for n in sent(client, part).json()["notices"]}
    with TestClient(make_app(judge, ServiceSettings(dicom_refuse=("identified",)))) as client:
        assert sent(client, part).status_code == 422


def test_what_is_no_readable_dicom_is_a_typed_problem(
    client: TestClient, dermoscopy: bytes, jpegs: dict[str, bytes]
) -> None:
    deflated = dicom_file(b"", syntax="1.2.840.10008.1.2.1.99")
    directory = dicom_file(b"", sop_class="1.2.840.10008.1.3.10")
    for data, status, code in (
        (jpegs["dermoscopy"], 415, "UnsupportedFormat"),
        (deflated, 415, "UnsupportedFormat"),
        (directory, 415, "UnsupportedFormat"),
        (b"", 422, "EmptyInput"),
        (dermoscopy[:140], 422, "CorruptImage"),
        (dermoscopy[:5_000], 422, "CorruptImage"),
    ):
        answer = sent(client, ("dicom", data, "application/dicom"))
        assert (answer.status_code, answer.json()["code"]) == (status, code), data[:10]
    assert sent(client, ("dicom", dermoscopy, "application/dicom")).status_code == 200


def test_many_at_a_time_get_the_answer_of_one(judge: Judge, dermoscopy: bytes) -> None:
    body = json.dumps({"images": [{"modality": "dicom", "data": base64.b64encode(dermoscopy).decode()}]})
    with running(judge, waiting_per_client=64, wait_seconds=600) as port, ThreadPoolExecutor(6) as pool:

        def one(_: int) -> bytes:
            url, kind = f"http://127.0.0.1:{port}/v1/diagnose", {"content-type": "application/json"}
            with urlopen(Request(url, body.encode(), kind), timeout=120) as answer:
                found: bytes = answer.read()
                return found

        alone = one(0)
        assert list(pool.map(one, range(12))) == [alone] * 12
