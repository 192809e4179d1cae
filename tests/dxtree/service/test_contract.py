"""Does the service keep its published contract, whatever is sent?"""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import positive_data_acceptance

from dxtree.service import Judge, ServiceSettings, make_app

pytestmark = pytest.mark.slow

PATHS = (
    "GET /healthz",
    "GET /metrics",
    "GET /readyz",
    "GET /v1/modalities",
    "GET /v1/models",
    "GET /v1/taxonomies/{name}",
    "POST /v1/diagnose",
)


@pytest.fixture(scope="module")
def contract(judge: Judge) -> Any:
    judge.warm()
    inner = make_app(judge, ServiceSettings())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":  # each call would start and end the service
            await inner(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": message["type"] + ".complete"})
        await send({"type": "lifespan.shutdown.complete"})

    return schemathesis.openapi.from_asgi("/openapi.json", app)


def test_the_contract_names_these_paths(contract: Any) -> None:
    assert sorted(o.ok().label for o in contract.get_all_operations()) == list(PATHS)


@pytest.mark.parametrize("path", PATHS)
def test_no_request_finds_a_fault_of_the_service_and_every_answer_is_as_published(
    contract: Any, path: str
) -> None:
    method, where = path.split(" ")
    operation = contract[where][method]
    modes = [m for m in schemathesis.GenerationMode if m.name in ("POSITIVE", "NEGATIVE")]
    requests = st.one_of(*(operation.as_strategy(generation_mode=m) for m in modes))

    @given(requests)
    @settings(
        max_examples=150 if method == "POST" else 25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def ask(case: Any) -> None:
        answer = case.call()
        assert answer.status_code < 500, (answer.status_code, answer.text)
        # Bytes that fit the schema are no picture, and refused as such.
        case.validate_response(answer, excluded_checks=[positive_data_acceptance])

    ask()
