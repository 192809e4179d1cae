"""Which paths does the page have? Nothing of a case is kept: the browser sends it with each question."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.responses import JSONResponse

from core.case import Case, ImageInput, body_sites
from core.contributions import check_node
from core.errors import DxtreeError, MissingExtra
from dxtree.page.branches import branches
from dxtree.page.card import blocks
from dxtree.page.overlay import Overlay, overlay_of
from dxtree.page.rendering import rendered, static
from dxtree.page.sample import sample
from dxtree.service.intake import Asked, read_request
from dxtree.service.judging import Judge
from dxtree.service.opening import DicomDesk
from dxtree.service.problems import Problem, busy
from dxtree.service.settings import ServiceSettings
from dxtree.service.waiting import WaitingRoom
from modalities.cnn.attribution import AUTO, Attribution, available_methods, choose_method
from modalities.cnn.explaining import explain
from modalities.cnn.model import CnnModel

SHARE = 0.8
"""Of the time for an answer, waiting included, that a map may take: it ends itself, a thread cannot."""

Judged = Callable[[Asked, str], Awaitable[tuple[Case, dict[str, Any]]]]
"""Answers a case for a client, as `POST /v1/diagnose` does: same checks, same places, same meters. The case
is the one that was judged, with the frames of DICOM files in their place."""


def add_page(
    api: FastAPI,
    judge: Judge,
    settings: ServiceSettings,
    room: WaitingRoom,
    judged: Judged,
    desk: DicomDesk,
) -> None:
    """Adds `/` and what it asks for. None of it stands in the published contract."""
    routes = APIRouter(include_in_schema=False)
    _add_reading(routes, judge, settings)
    _add_asking(routes, judge, settings, room, judged, desk)
    api.include_router(routes)


def _add_reading(routes: APIRouter, judge: Judge, settings: ServiceSettings) -> None:
    @routes.get("/")
    async def page(request: Request) -> Response:
        return rendered(
            request,
            "page.html",
            modalities=judge.modalities(),
            sites=[(site, body_sites().node(site).depth) for site in body_sites().ids[1:]],
            asks_key=settings.keys is not None,
            most=settings.images,
            has_sample=sample(judge.pipeline.models) is not None,
            reads_dicom=find_spec("pydicom") is not None,
        )

    @routes.get("/static/{name}")
    async def file(name: str) -> Response:
        found = static(name)
        if found is None:
            raise Problem(404, "NotFound", "there is no such file")
        return found

    @routes.get("/sample")
    async def drawn() -> Response:
        found = sample(judge.pipeline.models)
        if found is None:
            raise Problem(404, "NotFound", "no model reads what the drawn cases show")
        return JSONResponse(found)

    @routes.get("/card")
    async def card(request: Request) -> Response:
        path = judge.models.folder / "card.md"
        text = path.read_text("utf-8") if path.is_file() else ""
        whole = request.headers.get("hx-request") != "true"
        return rendered(
            request,
            "card_page.html" if whole else "card.html",
            blocks=blocks(text),
            models=judge.describe(),
        )


def _add_asking(
    routes: APIRouter,
    judge: Judge,
    settings: ServiceSettings,
    room: WaitingRoom,
    judged: Judged,
    desk: DicomDesk,
) -> None:
    @routes.post("/diagnose")
    async def diagnose(request: Request) -> Response:
        asked = await read_request(request, settings)
        case, answer = await judged(asked, request.scope["state"]["client"])
        tree = judge.pipeline.partition.taxonomy
        return rendered(
            request,
            "answer.html",
            answer=answer,
            label=tree.label(answer["answer"]) if answer["answer"] else None,
            is_root=answer["answer"] == tree.root,
            branches=branches(answer["tree"], tree, answer["answer"]),
            images=[(k, i.modality) for k, i in enumerate(case.images, 1) if _net(judge, i.modality)],
            methods=available_methods(),
        )

    @routes.post("/contributions")
    async def contributions(request: Request) -> Response:
        node = _node(request)
        asked = await read_request(request, settings)
        options = asked.options.model_copy(update={"explain": [node]})
        _, answer = await judged(replace(asked, options=options), request.scope["state"]["client"])
        found = (answer.get("contributions") or [None])[0]
        values = {"found": found, "scale": _scale(found), "label": _label(judge, node)}
        return rendered(request, "contributions.html", **values)

    turn = asyncio.Semaphore(1)

    @routes.post("/saliency")
    async def saliency(request: Request) -> Response:
        node = _node(request)
        check_node(node, judge.pipeline.sums)
        method = _method(request)
        asked = await read_request(request, settings)
        began = time.monotonic()

        def work() -> tuple[int, ImageInput, Attribution, Overlay]:
            number, one = _image(request, desk.opened(asked))
            net = _net(judge, one.modality)
            if net is None:
                raise Problem(422, "NoSaliency", "no map can be made of the model of this modality")
            left = SHARE * room.seconds - (time.monotonic() - began)
            found = explain(net, one, judge.pipeline.sums, node, method, seconds=max(0.0, left))
            return number, one, found, overlay_of(found)

        async with room.place(request.scope["state"]["client"]), one_at_a_time(turn, SHARE * room.seconds):
            number, one, found, overlay = await room.run(work)
        return rendered(
            request,
            "saliency.html",
            found=found,
            overlay=overlay,
            image=number,
            modality=one.modality,
            label=_label(judge, node),
        )


@asynccontextmanager
async def one_at_a_time(turn: asyncio.Semaphore, seconds: float) -> AsyncIterator[None]:
    """Waits for its turn without a thread: maps take one core at most, the others go on with diagnoses."""
    try:
        await asyncio.wait_for(turn.acquire(), seconds)
    except TimeoutError:
        raise busy(math.ceil(seconds), client=False) from None
    try:
        yield
    finally:
        turn.release()


def _node(request: Request) -> str:
    node = request.query_params.get("node")
    if node is None:
        raise Problem(422, "UnknownNode", "name a node of the tree as: node=ID")
    return node


def _method(request: Request) -> str:
    """How the map is to be made, which must be possible here."""
    method = request.query_params.get("method", AUTO)
    try:
        choose_method(method)
    except MissingExtra as missing:  # asked for by a client, so no fault of the service
        raise Problem(422, missing.code, missing.safe_message) from None
    return method


def _image(request: Request, asked: Asked) -> tuple[int, ImageInput]:
    """The image that is asked for, by its number in the case, from 1."""
    images = dict(enumerate(asked.case.images, start=1))
    number = request.query_params.get("image", "")
    if not number.isascii() or not number.isdecimal() or len(number) > 2 or int(number) not in images:
        raise Problem(422, "CaseError", f"image is a number from 1 to {len(images)}")
    return int(number), images[int(number)]


def _scale(found: dict[str, Any] | None) -> float:
    """The largest log-odds that a table shows: half of a bar's width."""
    if found is None:
        return 1.0
    parts = [
        *found["modalities"].values(),
        *found["fields"].values(),
        *(i["log_odds"] for i in found["images"]),
    ]
    return max(abs(v) for v in (*parts, found["prior_log_odds"], found["log_odds"])) or 1.0


def _label(judge: Judge, node: str) -> str:
    return judge.pipeline.partition.taxonomy.label(node)


def _net(judge: Judge, modality: str) -> CnnModel | None:
    """The net of a modality, where its model is one."""
    load = None if modality in judge.faults else judge.pipeline.models.get(modality)
    try:
        model = load() if load is not None else None
    except DxtreeError:
        return None
    return model if isinstance(model, CnnModel) else None
