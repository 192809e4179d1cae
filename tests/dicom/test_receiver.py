"""Does another program's C-STORE become an answer, and nothing else?"""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from core.errors import InputError
from dxtree.cohorts import make_lesion
from dxtree.dicomnet import Bounds, Inbox, Receiver
from plugins.assembly import assemble, find_model_set, load_registry

pytest.importorskip("pynetdicom", reason="the extra dicomnet is not installed")

Make = Callable[..., bytes]
PHOTOGRAPH = "1.2.840.10008.5.1.4.1.1.77.1.4"
storescu = pytest.mark.skipif(shutil.which("storescu") is None, reason="dcmtk is not installed")


@pytest.fixture(scope="module")
def files(make: Make) -> list[bytes]:
    views = {v: np.asarray(Image.open(io.BytesIO(jpeg))) for v, jpeg in make_lesion(7, 0).jpegs.items()}
    known: dict[int, Any] = {0x00100020: ("LO", "MRN-4711"), 0x00100010: ("PN", "Doe^Jane")}
    return [
        make(views["dermoscopy"], known),
        make(views["clinical"], known | {0x00080018: ("UI", "1.2.3.4.6")}, sop_class=PHOTOGRAPH),
    ]


def send(receiver: Receiver, folder: Path, *files: bytes, called: str = "DXTREE") -> int:
    paths = []
    for number, content in enumerate(files):
        paths.append(folder / f"{number}.dcm")
        paths[-1].write_bytes(content)
    command = ["storescu", "-R", "-aec", called, "-aet", "CAMERA", "127.0.0.1", str(receiver.port), *paths]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode


def wait_for(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (got := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return got


@storescu
def test_what_dcmtk_sends_is_diagnosed_and_the_images_are_not_kept(
    files: list[bytes], tmp_path: Path
) -> None:
    registry = load_registry()
    pipeline = assemble(registry, find_model_set(registry, "demonstration"))
    inbox = Inbox(tmp_path / "answers", pipeline.diagnose)
    with Receiver(inbox.take, port=0) as receiver:
        assert send(receiver, tmp_path, *files) == 0
        (folder,) = wait_for(lambda: list((tmp_path / "answers").glob("2*")))
    assert sorted(p.name for p in folder.iterdir()) == ["answer.json", "bundle.json", "report.dcm"]
    answer = json.loads((folder / "answer.json").read_text("utf-8"))
    assert answer["used"] == ["clinical", "dermoscopy"]
    assert "DicomIdentified" in [notice["code"] for notice in answer["notices"]]
    assert pydicom.dcmread(folder / "report.dcm").PatientID == "MRN-4711"
    assert "4711" not in (folder / "answer.json").read_text("utf-8")
    assert "4711" not in folder.name


@storescu
def test_each_association_is_a_lesion_of_its_own(files: list[bytes], tmp_path: Path) -> None:
    arrived: list[tuple[bytes, ...]] = []
    with Receiver(arrived.append, port=0) as receiver:
        assert send(receiver, tmp_path, *files) == 0
        assert send(receiver, tmp_path, files[0]) == 0
        wait_for(lambda: len(arrived) == 2)
    assert [len(lesion) for lesion in arrived] == [2, 1]
    assert pydicom.dcmread(io.BytesIO(arrived[1][0])).PatientID == "MRN-4711"


@storescu
def test_beyond_the_bounds_the_sender_is_told_and_the_lesion_is_not_taken(
    files: list[bytes], tmp_path: Path
) -> None:
    arrived: list[tuple[bytes, ...]] = []
    for bounds in (Bounds(images=1), Bounds(bytes=len(files[0]) + 2000)):
        with Receiver(arrived.append, port=0, bounds=bounds) as receiver:
            assert send(receiver, tmp_path, *files) != 0
            assert send(receiver, tmp_path, files[0]) == 0
            wait_for(lambda: arrived)
        assert [len(lesion) for lesion in arrived] == [1]
        arrived.clear()


@storescu
def test_another_title_and_an_unknown_caller_are_refused(files: list[bytes], tmp_path: Path) -> None:
    arrived: list[tuple[bytes, ...]] = []
    with Receiver(arrived.append, port=0) as receiver:
        assert send(receiver, tmp_path, files[0], called="OTHER") != 0
    with Receiver(arrived.append, port=0, callers=["SCANNER"]) as receiver:
        assert send(receiver, tmp_path, files[0]) != 0
    assert arrived == []


@storescu
def test_an_object_of_another_kind_is_refused(make: Make, files: list[bytes], tmp_path: Path) -> None:
    arrived: list[tuple[bytes, ...]] = []
    tomography = make(np.zeros((64, 64), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.2")
    with Receiver(arrived.append, port=0) as receiver:
        assert send(receiver, tmp_path, tomography) != 0
    assert arrived == []


def test_noise_on_the_port_leaves_the_receiver_up(files: list[bytes], tmp_path: Path) -> None:
    arrived: list[tuple[bytes, ...]] = []
    rng = np.random.default_rng(1)
    with Receiver(arrived.append, port=0, bounds=Bounds(seconds=2)) as receiver:
        for size in (0, 1, 10, 5000):
            with socket.create_connection(("127.0.0.1", receiver.port), timeout=5) as noise:
                noise.sendall(rng.bytes(size))
        if shutil.which("storescu"):
            wait_for(lambda: send(receiver, tmp_path, files[0]) == 0)
            assert wait_for(lambda: arrived)


def test_a_fault_is_recorded_in_place_of_an_answer(make: Make, tmp_path: Path) -> None:
    def broken(case: object) -> Any:
        raise ZeroDivisionError("of patient 4711")

    inbox = Inbox(tmp_path, broken)
    pixels = np.zeros((80, 96, 3), np.uint8)
    damaged = inbox.take((make(pixels)[:-100],))
    assert json.loads((damaged / "fault.json").read_text())["code"] == "CorruptImage"
    failed = inbox.take((make(pixels),))
    assert json.loads((failed / "fault.json").read_text()) == {
        "code": "ZeroDivisionError", "message": "a fault of dxtree",
    }  # fmt: skip
    assert not list(tmp_path.glob(".*"))


def test_a_title_or_bound_that_is_none_is_refused() -> None:
    for title in ("", " " * 4, "A" * 17, "A\\B", "Müller"):
        with pytest.raises(InputError, match="title"):
            Receiver(print, title=title)
    with pytest.raises(InputError, match="above zero"):
        Bounds(images=0)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InputError, match="listened"),
        Receiver(print, port=taken.getsockname()[1]),
    ):
        pass
