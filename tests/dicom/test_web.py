"""Do files come from a real DICOMweb server and reports go there, and does a hostile server get nowhere?"""

from __future__ import annotations

import io
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import CorruptImage, ImageTooLarge, InputError
from dxtree.dicomnet import Bounds, DicomWeb
from dxtree.dicomnet.web import _parts
from modalities.dicom import DicomReader, case_from_dicom

Make = Callable[..., bytes]
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
KIND = 'multipart/related; type="application/dicom"; boundary=B'


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("Orthanc")
    if program is None or not PLUGIN.exists():
        pytest.skip("Orthanc with its DICOMweb plugin is not installed")
    folder, port = tmp_path_factory.mktemp("orthanc"), free_port()
    settings = {
        "StorageDirectory": str(folder / "data"), "IndexDirectory": str(folder / "data"), "HttpPort": port,
        "DicomPort": free_port(), "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, folder / "orthanc.json"], stdout=log, stderr=log)
    root = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and server.poll() is None:
            try:
                urllib.request.urlopen(f"{root}/system", timeout=2).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.2)
        yield root
    finally:
        server.terminate()
        server.wait(30)


def test_what_is_stored_in_orthanc_is_fetched_and_read(
    orthanc: str, make: Make, colours: npt.NDArray[np.uint8], reader: DicomReader
) -> None:
    web = DicomWeb(f"{orthanc}/dicom-web")
    one = make(colours, {0x00100020: ("LO", "P1"), 0x00101010: ("AS", "062Y")})
    other = make(colours[::-1], {0x00100020: ("LO", "P1"), 0x00080018: ("UI", "1.2.3.4.6")})
    web.store(one)
    web.store(other)
    files = web.fetch("1.2.3.4")
    found = case_from_dicom(files, reader=reader)
    assert found.case.patient.age_years == 62
    shown = [np.asarray(Image.open(io.BytesIO(i.data or b""))) for i in found.case.images]
    assert {s.tobytes() for s in shown} == {colours.tobytes(), colours[::-1].tobytes()}
    assert len(web.fetch("1.2.3.4", "1.2.3.4.1")) == 2
    assert len(web.fetch("1.2.3.4", "1.2.3.4.1", "1.2.3.4.6")) == 1
    with pytest.raises(InputError, match="404"):
        web.fetch("1.2.3.5")
    with pytest.raises(ImageTooLarge, match="1 files"):
        DicomWeb(f"{orthanc}/dicom-web", bounds=Bounds(images=1)).fetch("1.2.3.4")
    with pytest.raises(ImageTooLarge, match="bytes"):
        DicomWeb(f"{orthanc}/dicom-web", bounds=Bounds(bytes=1000)).fetch("1.2.3.4")
    with pytest.raises(InputError):
        web.store(b"no DICOM file")


@pytest.mark.parametrize(
    "root",
    ["", "pacs", "ftp://pacs/x", "file:///etc/passwd", "http://", "http://a:b@pacs/x", "http://pacs/?a=b"],
)
def test_a_root_that_is_no_service_is_refused(root: str) -> None:
    with pytest.raises(InputError, match="DICOMweb service"):
        DicomWeb(root)


@pytest.mark.parametrize("uid", ["", "1..2", "../1", "1.2/3", "1.2.3\r\nX: y", "1" * 65, "１"])
def test_what_is_no_uid_never_reaches_the_address(uid: str) -> None:
    with pytest.raises(InputError, match="UID"):
        DicomWeb("http://127.0.0.1:9").fetch(uid)


def test_a_server_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(InputError, match="did not answer"):
        DicomWeb(f"http://127.0.0.1:{free_port()}").fetch("1.2")


@pytest.fixture
def hostile() -> Iterator[Callable[[int, dict[str, str], bytes], DicomWeb]]:
    answer: dict[str, Any] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(answer["status"])
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def set_up(status: int, headers: dict[str, str], body: bytes) -> DicomWeb:
        answer.update(status=status, headers=headers, body=body)
        return DicomWeb(f"http://127.0.0.1:{server.server_port}", bounds=Bounds(bytes=10_000, seconds=5))

    yield set_up
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.parametrize(
    ("status", "headers", "body", "fault"),
    [
        (302, {"Location": "http://elsewhere.example/"}, b"", InputError),
        (200, {"Content-Type": "text/html"}, b"<p>", CorruptImage),
        (200, {}, b"", CorruptImage),
        (200, {"Content-Type": "multipart/related"}, b"--\r\n", CorruptImage),
        (200, {"Content-Type": KIND}, b"--B\r\n\r\nDICM", CorruptImage),
        (200, {"Content-Type": KIND}, b"--B\r\nno head\r\n--B--", CorruptImage),
        (200, {"Content-Type": KIND}, b"x" * 20_000, ImageTooLarge),
        (200, {"Content-Type": KIND, "Content-Length": "9999999999"}, b"x", InputError),
    ],
)
def test_an_answer_that_is_no_set_of_files_is_a_fault(
    hostile: Callable[..., DicomWeb],
    status: int,
    headers: dict[str, str],
    body: bytes,
    fault: type[InputError],
) -> None:
    with pytest.raises(fault):
        hostile(status, headers, body).fetch("1.2")


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=200).filter(lambda b: b"--B" not in b), min_size=1, max_size=5))
def test_parts_come_out_as_they_went_in(parts: list[bytes]) -> None:
    body = b"".join(b"--B\r\nContent-Type: application/dicom\r\n\r\n" + p + b"\r\n" for p in parts) + b"--B--"
    assert _parts(KIND, body) == tuple(parts)
