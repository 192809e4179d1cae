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
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def form(jpegs: dict[str, bytes]) -> list[Any]:
    """The files of a form."""
    return [(modality, (f"{modality}.jpg", data, "image/jpeg")) for modality, data in jpegs.items()]
