"""A judge on the demonstration set, a lesion, and the application: in this process, or behind a socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from starlette.testclient import TestClient

from dxtree.cohorts.synthetic import make_lesion
from dxtree.service import Judge, ServiceSettings, make_app
from dxtree.service.running import configuration
from plugins.assembly import assemble, find_model_set, load_registry

STARTING, ENDING = 180.0, 90.0
"""Seconds that a service may take on a machine with much else to do; it waits 30 for its own requests."""
PATIENT = {"age_years": 61, "sex": "female", "site": "back"}


@pytest.fixture(scope="session")
def judge() -> Judge:
    registry = load_registry()
    models = find_model_set(registry, "demonstration")
    return Judge(registry, models, assemble(registry, models))


@pytest.fixture(scope="session")
def jpegs() -> dict[str, bytes]:
    return dict(make_lesion(7, 3).jpegs)


@pytest.fixture(scope="session")
def client(judge: Judge) -> Iterator[TestClient]:
    with TestClient(make_app(judge, ServiceSettings()), raise_server_exceptions=False) as client:
        yield client


@contextmanager
def running(judge: Judge, **given: Any) -> Iterator[int]:
    """The port of a server in a thread of this process, on these settings."""
    settings = ServiceSettings(port=0, **given)
    server = uvicorn.Server(configuration(make_app(judge, settings), settings))
    thread = threading.Thread(target=server.run, daemon=True)  # else a stuck one keeps pytest from ending
    thread.start()
    try:
        until = time.monotonic() + STARTING
        while not server.started:
            assert thread.is_alive(), "the service ended before it had started; see its log above"
            assert time.monotonic() < until, "the service did not start"
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(ENDING)
        assert not thread.is_alive(), "the service did not end"


def form(jpegs: dict[str, bytes]) -> list[Any]:
    """The files of a form."""
    return [(modality, (f"{modality}.jpg", data, "image/jpeg")) for modality, data in jpegs.items()]
