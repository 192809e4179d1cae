"""Which paths are there, and what does each answer?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from core.case import Case
from core.errors import AllModalitiesFailed, DxtreeError, InputError
from dxtree.service import contract
from dxtree.service.intake import Asked, read_request
from dxtree.service.judging import Judge
from dxtree.service.keys import KeyRing
from dxtree.service.limits import Doorkeeper, holder
from dxtree.service.meters import Meters
from dxtree.service.opening import DicomDesk
from dxtree.service.problems import Problem
from dxtree.service.settings import ServiceSettings
from dxtree.service.waiting import WaitingRoom


def make_app(judge: Judge, settings: ServiceSettings) -> ASGIApp:
    """The service as an ASGI application. Raises `InputError` where the file of keys cannot be used."""
    keys = None if settings.keys is None else KeyRing.read(settings.keys)
    room = WaitingRoom(
        judge.workers,
        settings.waiting,
        settings.waiting_per_client,
        settings.answer_seconds,
        settings.wait_seconds,
    )
    desk = DicomDesk(settings.dicom_refuse, settings.images)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.get_running_loop().run_in_executor(None, judge.warm)
        yield
        room.open = False
        await warming
        await asyncio.to_thread(room.close)
        desk.close()

    api = FastAPI(
        title=contract.TITLE,
        version=contract.VERSION,
        description=contract.ABOUT,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from another site
        redoc_url=None,
    )
    keeper = Doorkeeper(api, settings, keys, lambda *told: meters.answered(*told))
    meters = Meters(lambda: room.inside, lambda: keeper.held)
    _answer_faults(api, room)
    _add_watching(api, judge, room, meters)
    _add_reading(api, judge)

    @api.post(
        "/v1/diagnose",
        operation_id="diagnose",
        responses=contract.diagnose_responses(),
        openapi_extra={"requestBody": contract.diagnose_body()},
    )
    async def diagnose(request: Request) -> Response:
        """Diagnoses one lesion. The same request gets the same answer, to the bit, whenever it is sent."""
        room.check(request.scope["state"]["client"])
        asked = await read_request(request, settings)
        _, answer = await judged(asked, request.scope["state"]["client"])
        return JSONResponse(answer)

    async def judged(asked: Asked, client: str) -> tuple[Case, dict[str, Any]]:
        judge.check(asked)

        def work() -> tuple[Case, dict[str, Any]]:
            opened = desk.opened(asked)
            return opened.case, judge.answer(opened, holder(client))

        async with room.place(client):
            case, answer = await room.run(work)
        for image in case.images:
            if image.modality in judge.pipeline.models:
                meters.images.labels(image.modality).inc()
        meters.answers.labels(answer["status"]).inc()
        return case, answer

    if settings.page:
        from dxtree.page import add_page  # it stands above this package

        add_page(api, judge, settings, room, judged, desk)
    return keeper


def _answer_faults(api: FastAPI, room: WaitingRoom) -> None:
    @api.exception_handler(Problem)
    async def problem(_: Request, fault: Problem) -> Response:
        return fault.response()

    @api.exception_handler(DxtreeError)
    async def typed(_: Request, fault: DxtreeError) -> Response:
        if fault.status >= 500 and not isinstance(fault, InputError | AllModalitiesFailed):
            room.note_fault()
        return Problem.of(fault).response()

    @api.exception_handler(HTTPException)
    async def http(_: Request, fault: HTTPException) -> Response:
        names = {404: "NotFound", 405: "MethodNotAllowed"}
        code = names.get(fault.status_code, "BadRequest")
        return Problem(fault.status_code, code, str(fault.detail), dict(fault.headers or {})).response()


def _add_watching(api: FastAPI, judge: Judge, room: WaitingRoom, meters: Meters) -> None:
    @api.get("/healthz", operation_id="health")
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "ok"}

    @api.get("/readyz", operation_id="ready", responses=contract.problems(503))
    async def readyz() -> dict[str, str]:
        """The models are loaded, and requests are taken."""
        if not judge.warmed:
            raise Problem(503, "Starting", "the models are being loaded", {"Retry-After": "1"})
        if not judge.able:
            raise Problem(503, "NoModel", "no modality has a model that can be used")
        if not room.open or not room.steady:
            raise Problem(503, "NotReady", "the service ends or fails again and again", {"Retry-After": "10"})
        return {"status": "ready"}

    @api.get(
        "/metrics",
        operation_id="metrics",
        response_class=Response,
        responses=contract.problems(*contract.GUARDED) | {200: contract.METRICS},
    )
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(meters.page(), media_type=CONTENT_TYPE_LATEST)


def _add_reading(api: FastAPI, judge: Judge) -> None:
    guarded = contract.problems(*contract.GUARDED)

    @api.get("/v1/modalities", operation_id="modalities", responses=guarded)
    async def modalities() -> list[dict[str, Any]]:
        """What images may be sent as."""
        return judge.modalities()

    @api.get("/v1/models", operation_id="models", responses=guarded)
    async def models() -> dict[str, Any]:
        """Which models answer, down to their digests."""
        return judge.describe()

    @api.get(
        "/v1/taxonomies/{name}",
        operation_id="taxonomy",
        responses=contract.problems(*contract.GUARDED, 404),
    )
    async def taxonomy(name: str) -> dict[str, Any]:
        """The disease tree that answers stand on."""
        tree = judge.pipeline.partition.taxonomy
        if name != tree.name:
            raise Problem(404, "NotFound", f"answers stand on the taxonomy {tree.name!r}; ask for that")
        found: dict[str, Any] = json.loads(tree.to_json())
        return found
