"""What can be loaded and started before the first patient waits for it?"""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np

from core.beside import side_by_side
from core.case import Case, ImageInput
from core.cores import usable_cores
from core.errors import DxtreeError
from core.pipeline import Pipeline
from core.protocols import Evidence

SIDE = 128
"""Pixels: above the smallest image that is read."""


def warm(pipeline: Pipeline, modality: str, *, many: bool = False) -> DxtreeError | None:
    """Puts a drawn picture through the model of a modality and the fuser. What fails is the answer.

    With `many` the model is also asked by as many threads at once as `diagnose_many` has.
    """
    case = Case(id="warm", images=(ImageInput(modality=modality, data=picture()),))
    try:
        gathered = pipeline.gather(case, strict=True)
        # A gate may leave a drawn picture out; the fuser shall have work to do all the same.
        prior = pipeline.models[modality]().prior
        evidence = gathered.evidence or (Evidence(modality, prior, prior, images=1),)
        pipeline.fuse(case, replace(gathered, evidence=evidence))
        if many:
            _ask_from_every_core(pipeline, case)
    except DxtreeError as error:
        return error
    return None


def picture() -> bytes:
    """A file of the simplest kind: a BMP of 128 x 128 pixels, a brown spot that fades into pink."""
    y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    inside = np.maximum(0, 1 - (x * x + y * y) / (SIDE / 3) ** 2)
    rows: bytes = (np.array((168, 184, 222)) - 100 * inside[..., None]).astype(np.uint8).tobytes()
    offset = 14 + 40
    header = struct.pack("<2sIHHI", b"BM", offset + len(rows), 0, 0, offset)
    return header + struct.pack("<IiiHHIIiiII", 40, SIDE, SIDE, 1, 24, 0, len(rows), 0, 0, 0, 0) + rows


def _ask_from_every_core(pipeline: Pipeline, case: Case) -> None:
    cores = usable_cores()
    beside = replace(pipeline, models=side_by_side(pipeline.models, cores))
    start = Barrier(cores)

    def ask(_: int) -> None:
        start.wait()  # all at the same time, so that each needs a decoder of its own
        beside.gather(case, strict=True)

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(ask, range(cores)))
