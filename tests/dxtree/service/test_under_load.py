"""A real server under more than it can do, with slow clients, and told to end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from dxtree.service import Judge
from tests.dxtree.service.conftest import running
from tests.dxtree.service.test_diagnosing import as_json


def gone(group: int, *, seconds: float) -> bool:
    """Whether no process of a group is left by then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def post(port: int, body: bytes) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{port}/v1/diagnose"
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        assert error.headers["retry-after"] or error.code not in (429, 503)
        return error.code, error.read()


def test_over_capacity_every_accepted_request_is_answered_right_and_the_rest_told_to_wait(
    judge: Judge, jpegs: dict[str, bytes]
) -> None:
    body = json.dumps(as_json(jpegs)).encode()
    with running(judge, waiting=3, waiting_per_client=64) as port:
        first = post(port, body)
        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda _: post(port, body), range(72)))
        found = Counter(status for status, _ in answers)
        assert set(found) <= {200, 503}
        assert found[200] and found[503]
        assert {text for status, text in answers if status == 200} == {first[1]}
        assert post(port, body) == first


def test_what_would_wait_too_long_is_refused_though_there_is_a_place(
    judge: Judge, jpegs: dict[str, bytes]
) -> None:
    body = json.dumps(as_json(jpegs)).encode()
    with running(judge, waiting=64, waiting_per_client=64, wait_seconds=0.001) as port:
        first = post(port, body)
        assert first[0] == 200  # with a core free nothing waits, however long it takes
        with ThreadPoolExecutor(24) as pool:
            found = Counter(status for status, _ in pool.map(lambda _: post(port, body), range(48)))
    assert set(found) == {200, 503}


def test_one_client_cannot_take_every_place(judge: Judge, jpegs: dict[str, bytes]) -> None:
    body = json.dumps(as_json(jpegs)).encode()
    with running(judge, waiting=64, waiting_per_client=2) as port, ThreadPoolExecutor(24) as pool:
        found = Counter(status for status, _ in pool.map(lambda _: post(port, body), range(48)))
    assert set(found) == {200, 429}


def test_the_loop_answers_at_once_while_every_core_is_at_work(judge: Judge, jpegs: dict[str, bytes]) -> None:
    body = json.dumps(as_json(jpegs)).encode()
    with running(judge, waiting=8, waiting_per_client=64) as port, ThreadPoolExecutor(16) as pool:
        work = [pool.submit(post, port, body) for _ in range(64)]
        while not all(w.done() for w in work):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
                assert answer.status == 200


def test_slow_headers_and_bodies_are_hung_up_on_and_others_served(
    judge: Judge, jpegs: dict[str, bytes]
) -> None:
    body = json.dumps(as_json(jpegs)).encode()
    with running(judge, header_seconds=0.5, body_seconds=0.5) as port:
        slow = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(40)]
        for k, one in enumerate(slow):
            head = b"POST /v1/diagnose HTTP/1.1\r\nHost: localhost\r\n"
            rest = b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{" if k % 2 else b"X: "
            one.sendall(head + rest)
        assert post(port, body)[0] == 200
        for k, one in enumerate(slow):
            one.settimeout(10)
            got = b""
            while part := one.recv(4096):
                got += part
            assert got.startswith(b"HTTP/1.1 408") if k % 2 else got == b""
            one.close()


def test_bytes_that_are_no_request_are_refused(judge: Judge) -> None:
    with running(judge) as port:
        for raw in (
            b"\x16\x03\x01\x02\x00" * 20,
            b"GET /\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -4\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
                one.sendall(raw)
                one.settimeout(10)
                assert one.recv(4096).startswith(b"HTTP/1.1 400")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_sigterm_under_load_answers_what_was_accepted_and_leaves_no_process(
    jpegs: dict[str, bytes],
) -> None:
    body = json.dumps(as_json(jpegs)).encode()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "dxtree", "serve", "--models", "demonstration", "--port", str(port)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        for _ in range(600):
            with (
                contextlib.suppress(OSError),
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2),
            ):
                break
            time.sleep(0.1)
        with ThreadPoolExecutor(8) as pool:
            work = [pool.submit(post, port, body) for _ in range(8)]
            time.sleep(0.05)
            server.send_signal(signal.SIGTERM)
            ended = [w.exception(120) or w.result()[0] for w in work]
        # Refused because it came too late, or answered; never accepted and lost.
        assert all(e in (200, 503) or isinstance(e, urllib.error.URLError) for e in ended), ended
        assert server.wait(40) == 0
        assert gone(server.pid, seconds=5)
        assert "Traceback" not in (server.stderr.read() if server.stderr else "")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
