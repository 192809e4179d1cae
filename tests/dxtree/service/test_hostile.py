"""Whatever a stranger sends is a typed problem or an answer, and never a fault, a crash or a hang.

The whole run of mutated files: `scripts/test -m slow tests/dxtree/service/test_hostile.py`.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dxtree.service import Judge
from tests.dicom.conftest import dicom_file
from tests.dxtree.service.conftest import running
from tests.modalities.test_images import (
    ENCODINGS,
    black_png,
    encode,
    many_scans,
    mutated,
    photo,
    png,
    resealed,
    webp_lossless_header,
)

MIB = 1024**2
DEFLATED = "1.2.840.10008.1.2.1.99"
ALLOWED = {400, 408, 413, 415, 422, 431}
SECONDS = 12.0
"""A picture may be decoded for 10 s; nothing else may take so long."""


@pytest.fixture(scope="module")
def port(judge: Judge) -> Iterator[int]:
    with running(judge, waiting_per_client=64) as port:
        yield port


def ask(port: int, body: bytes, kind: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and document of one answer, which was there in time."""
    began = time.monotonic()
    wire = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        wire.request("POST", "/v1/diagnose", body, {"content-type": kind} | headers)
        answer = wire.getresponse()
        document = json.loads(answer.read())
        assert time.monotonic() - began < SECONDS
        if answer.status != 200:
            assert answer.headers["content-type"] == "application/problem+json"
            assert document["code"] and document["status"] == answer.status
        return answer.status, document
    finally:
        wire.close()


def parts(*files: tuple[bytes, bytes], fields: dict[bytes, bytes] | None = None) -> bytes:
    """A form as it crosses the wire: names and contents are whatever they are."""
    found = b"".join(
        b'--b\r\nContent-Disposition: form-data; name="' + name + b'"; filename="x"\r\n\r\n' + data + b"\r\n"
        for name, data in files
    )
    for name, value in (fields or {}).items():
        found += b'--b\r\nContent-Disposition: form-data; name="' + name + b'"\r\n\r\n' + value + b"\r\n"
    return found + b"--b--\r\n"


def send(port: int, *files: bytes, modality: bytes = b"dermoscopy") -> tuple[int, dict[str, Any]]:
    return ask(port, parts(*((modality, f) for f in files)), "multipart/form-data; boundary=b")


def alive(port: int, jpegs: dict[str, bytes]) -> None:
    """A patient's case is still answered."""
    assert send(port, jpegs["dermoscopy"])[0] == 200


def noise() -> bytes:
    return encode(
        Image.fromarray(np.random.default_rng(1).integers(0, 256, (80, 96, 3)).astype(np.uint8)), "png"
    )


HOSTILE: dict[str, tuple[bytes, int]] = {
    "nothing": (b"", 422),
    "one byte": (b"\0", 415),
    "a text": (b"<svg onload=alert(1)>", 415),
    "a GIF": (b"GIF89a" + bytes(40), 415),
    "a ZIP": (b"PK\x03\x04" + bytes(40), 415),
    "a PDF": (b"%PDF-1.7\n", 415),
    "a pickle": (b"\x80\x04\x95" + bytes(30), 415),
    "a head of JPEG alone": (b"\xff\xd8\xff", 422),
    "half a JPEG": (encode(photo(), "jpeg")[:900], 422),
    "half a PNG": (encode(photo(), "png")[:900], 422),
    "half a TIFF": (encode(photo(), "tiff")[:900], 422),
    "half a WebP": (encode(photo(), "webp")[:400], 422),
    "a PNG of a wrong checksum": (encode(photo(), "png")[:60] + b"\xff" + encode(photo(), "png")[61:], 422),
    "a small picture": (encode(photo(16, 16), "png"), 422),
    "a strip": (encode(photo(2000, 70), "png"), 413),
    "a header of 268 million pixels": (webp_lossless_header(16_384, 16_384), 413),
    "a PNG of 4 thousand million pixels": (png(65_535, 65_535, b""), 413),
    "a bomb of 49 million pixels": (black_png(7000, 7000), 200),
    "two thousand scans": (many_scans(2000), 422),
    "several pages": (encode(photo(), "tiff", save_all=True, append_images=[photo(seed=1)]), 422),
    "sixteen bits": (png(80, 80, b"", depth=16, colour=0), 422),
    "a polyglot": (encode(photo(), "jpeg") + b"PK\x03\x04" + b"<script>alert(1)</script>", 200),
    "noise": (noise(), 200),
    "DICOM without a header": (bytes(128) + b"DICM", 422),
    "deflated DICOM": (dicom_file(b"", syntax=DEFLATED), 415),
    "a DICOMDIR": (dicom_file(b"", sop_class="1.2.840.10008.1.3.10"), 415),
    "DICOM that promises 4 thousand million pixels": (
        dicom_file(
            b"",
            {0x00280010: ("US", 65_535), 0x00280011: ("US", 65_535), 0x7FE00010: ("OB", bytes(64))},
        ),
        413,
    ),
    "DICOM of a million frames": (
        dicom_file(np.zeros((2, 80, 80, 3), np.uint8), {0x00280008: ("IS", 1_000_000)}),
        422,
    ),
    "DICOM of four hundred nested sequences": (
        dicom_file(np.zeros((80, 80, 3), np.uint8), {0x00082218: ("SQ", [{}])})[:-4]
        + struct.pack("<HH2sHI", 0xFFFE, 0xE000, b"SQ", 0, 0xFFFFFFFF) * 400,
        422,
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_a_typed_problem_and_the_next_case_is_answered(
    port: int, jpegs: dict[str, bytes], name: str
) -> None:
    data, status = HOSTILE[name]
    found, document = send(port, data)
    assert found == status, document
    alive(port, jpegs)


STRINGS = (
    "undefined", "null", "NaN", "1/0", "0x0", "-1", "9" * 400, "1e309", "\u0000", "\u202e\u2066", "\ufeff",
    "\ud800", "ﾟ･✿ヾ╲(｡◕‿◕｡)╱✿･ﾟ", "Ω≈ç√∫˜µ≤≥÷", "田中さん", "الكل", "🏳‍🌈", "Z̮̞̠͙͔ͅḀ̗̞͈̻̗Ḷ͙͎̯̹̞͓G̻O̭̗̮",
    "<script>alert(1)</script>", "'; DROP TABLE users; --", "$(touch /tmp/x)", "`id`", "../../../etc/passwd",
    "..\\..\\windows", "CON", "%s%n%x", "{0.__class__}", "${jndi:ldap://x}", "{{7*7}}", "\r\nX-Evil: 1",
    "__proto__", "x" * 100_000,
)  # fmt: skip
"""Strings that have broken others' programs, of the kinds of the Big List of Naughty Strings."""


@pytest.mark.parametrize(
    "place", ["id", "sex", "site", "age_years", "modality", "key", "explain", "prevalence"]
)
def test_a_naughty_string_is_a_problem_that_does_not_repeat_it_or_is_no_more_than_a_name(
    port: int, jpegs: dict[str, bytes], place: str
) -> None:
    image = base64.b64encode(jpegs["dermoscopy"]).decode()
    for text in STRINGS:
        case: dict[str, Any] = {"images": [{"modality": "dermoscopy", "data": image}]}
        if place in ("sex", "site", "age_years"):
            case["patient"] = {place: text}
        elif place == "modality":
            case["images"][0]["modality"] = text
        elif place == "key":
            case[text] = 1
        elif place == "explain":
            case["options"] = {"explain": [text]}
        elif place == "prevalence":
            case["options"] = {"prevalence": {text: 0.5}}
        else:
            case["id"] = text
        status, document = ask(port, json.dumps(case).encode(), "application/json")
        assert status in ALLOWED or (status == 200 and place == "id" and document["case_id"] == text), text
        if status != 200 and place in ("id", "sex", "site", "age_years", "key") and len(text) > 6:
            assert text not in json.dumps(document, ensure_ascii=False)


DEEP = b"[" * 200_000
JSON_BODIES = (
    b"", b"{", b"null", b"0", b'"x"', b"[]", b"{}", DEEP, b'{"a":' * 50_000, b'{"id":NaN}', b'{"id":1e999}',
    b'{"images":[' + b"{}," * 5_000 + b"{}]}", b'{"images":{}}', b'{"images":null}', b'{"images":[null]}',
    b'{"images":[{"modality":"dermoscopy","data":1}]}', b'{"images":[[]],"patient":' + DEEP,
    b'{"images":[],"images":[]}', b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b'{"id":' + b"9" * 10_000 + b"}",
    b'{"' + b"k" * MIB + b'":1}', b'{"images":[{"modality":"a","data":"' + b"A" * MIB + b'"}]}',
    b'{"images":[{"modality":"a","data":"' + b"=" * 64 + b'"}]}',
)  # fmt: skip


def test_json_that_is_deep_wide_or_none_is_a_typed_problem(port: int, jpegs: dict[str, bytes]) -> None:
    for body in JSON_BODIES:
        status, document = ask(port, body, "application/json")
        assert status in ALLOWED, (body[:40], document)
    alive(port, jpegs)


FORMS = (
    (b"", "multipart/form-data"),
    (b"", "multipart/form-data; boundary="),
    (b"", "multipart/form-data; boundary=" + "b" * 5_000),
    (b"--b--\r\n", "multipart/form-data; boundary=b"),
    (b"--b", "multipart/form-data; boundary=b"),
    (b"--b\r\n", "multipart/form-data; boundary=b"),
    (b"--b\r\n" * 20_000, "multipart/form-data; boundary=b"),
    (b"\r\n" * 50_000 + b"--b--\r\n", "multipart/form-data; boundary=b"),
    (b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    (b"--b\r\nContent-Disposition: x" * 400, "multipart/form-data; boundary=b"),
    (b"--b\r\nX: " + b"y" * 200_000 + b"\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    (b"--b\r\n" + b"X: y\r\n" * 20_000 + b"\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    (parts((b"dermoscopy", b"x"))[:-8], "multipart/form-data; boundary=b"),
    (parts((b"dermoscopy", b"x")), "multipart/form-data; boundary=c"),
    (parts((b"dermoscopy", b"x")), "multipart/form-data; charset=utf-16; boundary=b"),
    (parts((b"\xff\xfe\0", b"x")), "multipart/form-data; boundary=b"),
    (parts((b"../../etc", b"x")), "multipart/form-data; boundary=b"),
    (parts((b"m" * 5_000, b"x")), "multipart/form-data; boundary=b"),
    (parts(*[(b"dermoscopy", b"")] * 500), "multipart/form-data; boundary=b"),
    (parts(fields={b"case": b"{}"}), "multipart/form-data; boundary=b"),
    (parts(fields={b"case": b"x" * 100_000}), "multipart/form-data; boundary=b"),
    (parts((b"dermoscopy", b"x"), fields={b"case": DEEP[:60_000]}), "multipart/form-data; boundary=b"),
    (parts((b"case", b"x")), "multipart/form-data; boundary=b"),
    (b"a=1&b=2", "application/x-www-form-urlencoded"),
    (b"x", "image/jpeg"),
    (b"x", "application/dicom"),
    (b"x", "\u00e4"),
)


def test_a_form_that_is_wrong_is_a_typed_problem(port: int, jpegs: dict[str, bytes]) -> None:
    for body, kind in FORMS:
        status, document = ask(port, body, kind)
        assert status in ALLOWED, (body[:60], kind, document)
    alive(port, jpegs)


@given(st.binary(max_size=2_000), st.sampled_from(["multipart/form-data; boundary=b", "application/json"]))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_any_bytes_are_a_typed_problem(port: int, body: bytes, kind: str) -> None:
    assert ask(port, body, kind)[0] in ALLOWED
    assert ask(port, parts((b"dermoscopy", body)), "multipart/form-data; boundary=b")[0] in ALLOWED


def test_a_body_over_the_limit_leaves_no_bytes_behind(port: int, jpegs: dict[str, bytes]) -> None:
    for told in (True, False):
        wire = socket.create_connection(("127.0.0.1", port), timeout=20)
        length = f"Content-Length: {80 * MIB}" if told else "Transfer-Encoding: chunked"
        head = f"POST /v1/diagnose HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{length}"
        got = b""
        with contextlib.suppress(OSError):  # it hangs up
            wire.sendall(f"{head}\r\n\r\n".encode())
            for _ in range(80):
                wire.sendall(b"100000\r\n" + bytes(MIB) + b"\r\n" if not told else bytes(MIB))
        with contextlib.suppress(OSError):
            got = wire.recv(4_096)
        wire.close()
        assert got == b"" or got.startswith(b"HTTP/1.1 413")
    alive(port, jpegs)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        page = b"".join(iter(lambda: wire.recv(65_536), b""))
    assert b"dxtree_body_bytes_held 0.0" in page


def test_three_hundred_slow_bodies_are_ended_and_a_patient_s_case_is_answered_meanwhile(
    judge: Judge, jpegs: dict[str, bytes]
) -> None:
    with running(judge, body_seconds=2.0, header_seconds=2.0) as port:
        head = b"POST /v1/diagnose HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        slow = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(300)]
        began = time.monotonic()
        for one in slow:
            one.sendall(head + b"Content-Length: 1000\r\n\r\n{")
        alive(port, jpegs)
        ends = []
        for one in slow:
            got = one.recv(4_096)
            assert got.startswith(b"HTTP/1.1 408")
            ends.append(time.monotonic() - began)
            one.close()
        assert max(ends) < 20
        alive(port, jpegs)


def memory() -> int:
    """Resident bytes of this process, in which the service runs."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_bombs_leave_the_service_s_memory_where_it_was(port: int, jpegs: dict[str, bytes]) -> None:
    bombs = [HOSTILE[n][0] for n in HOSTILE if "million" in n or "scans" in n or "sequences" in n]
    for _ in range(3):
        alive(port, jpegs)
    before, most = memory(), [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        for data in bombs * 2:
            send(port, data)
    finally:
        over.set()
    watcher.join(10)
    assert max(most[0], memory()) - before < 50 * MIB


def originals() -> dict[str, bytes]:
    pixels = np.asarray(photo())
    kinds = {kind: encode(photo(), kind) for kind in ENCODINGS}
    jpeg = encode(photo(), "jpeg")
    pixel = {
        0x00280002: ("US", 3), 0x00280004: ("CS", "YBR_FULL_422"), 0x00280006: ("US", 0),
        0x00280010: ("US", 80), 0x00280011: ("US", 96), 0x00280100: ("US", 8), 0x00280101: ("US", 8),
        0x00280102: ("US", 7), 0x00280103: ("US", 0),
    }  # fmt: skip
    kinds["dicom"] = dicom_file(pixels)
    kinds["dicom-jpeg"] = dicom_file(jpeg, pixel, syntax="1.2.840.10008.1.2.4.50", encapsulated=True)
    kinds["form"] = parts((b"dermoscopy", jpeg), fields={b"case": b'{"patient": {"age_years": 61}}'})
    kinds["json"] = json.dumps(
        {"images": [{"modality": "dermoscopy", "data": base64.b64encode(encode(photo(), "webp")).decode()}]}
    ).encode()
    return kinds


def mutate_and_send(port: int, rounds: int, seed: int) -> Counter[int]:
    """Statuses of so many mutations of each original; every one is an answer or typed."""
    chance, found = random.Random(seed), Counter[int]()
    kinds = originals()
    for k in range(rounds):
        for kind, data in kinds.items():
            hostile = mutated(data, chance)
            if kind == "png":
                hostile = resealed(hostile)
            if kind == "form":
                status, told = ask(port, hostile, "multipart/form-data; boundary=b")
            elif kind == "json":
                status, told = ask(port, hostile, "application/json")
            else:
                status, told = send(port, hostile)
            assert status in ALLOWED | {200}, (seed, k, kind, told)
            found[status] += 1
    return found


def test_mutated_files_and_requests_are_answers_or_typed(port: int, jpegs: dict[str, bytes]) -> None:
    found = mutate_and_send(port, 6, seed=21)
    assert set(found) >= {200, 422}
    alive(port, jpegs)


@pytest.mark.slow
def test_five_thousand_mutated_files_and_requests_are_answers_or_typed(
    port: int, jpegs: dict[str, bytes]
) -> None:
    found = mutate_and_send(port, 5_000 // len(originals()), seed=22)
    assert set(found) >= {200, 400, 415, 422}
    alive(port, jpegs)
