"""A judge on the demonstration set, a lesion, and the application in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from dxtree.cohorts.synthetic import make_lesion
from dxtree.service import Judge, ServiceSettings, make_app
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


def form(jpegs: dict[str, bytes]) -> list[Any]:
    """The files of a form."""
    return [(modality, (f"{modality}.jpg", data, "image/jpeg")) for modality, data in jpegs.items()]
