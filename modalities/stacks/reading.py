"""How is a stack read from a file that anybody may have made? In a process that may die."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from core import errors
from core.cores import usable_cores
from modalities.images.faults import raise_fault
from modalities.images.limits import Limits
from modalities.images.pool import Pool
from modalities.images.source import read_source
from modalities.stacks.limits import LIMITS
from modalities.stacks.stack import Channel, Stack

_WORKER = "modalities.stacks.worker"
_pools: dict[tuple[int, int], Pool] = {}
"""By process id, as a forked process must not use its parent's workers, and by the bytes of memory that a
worker may take, which can only be lowered once it has started."""


def read_in_child(module: str, source: bytes | Path, limits: Limits = LIMITS) -> Stack:
    """The stack that `module.parse(data, limits)` makes of a file, called in a worker process.

    `module` is named by the caller, never by a file; it has `parse(data: bytes, limits: Limits) -> Stack`
    and is imported in the worker alone, where neither a front door of ours nor pydantic is. `parse` raises
    typed errors for what it finds at fault; anything else that it raises, or that ends the worker, is
    `CorruptImage`. `limits.memory_bytes` and `limits.seconds` hold for each file. The values come back as
    raw numbers with a JSON header.

    Raises `PathRejected`, `EmptyInput`, `UnsupportedFormat`, `ImageTooLarge`, `ImageTooSmall`,
    `CorruptImage`, `MultiFrame`, `UnsupportedPixels`, `DecodeTimeout`; `MissingExtra` where `parse` needs a
    package that is not installed.
    """
    data = read_source(source, limits.max_bytes)
    if not data:
        raise errors.EmptyInput("file has zero bytes")
    if len(data) > limits.max_bytes:
        raise errors.ImageTooLarge(f"file has {len(data)} bytes; at most {limits.max_bytes} are read")
    header = {"module": module, "limits": asdict(limits)}
    with _pool(limits.memory_bytes).child() as child:
        reply, body = child.ask(header, data, limits.seconds, 4 * limits.max_pixels)
        try:
            return _understood(reply, body)
        except (AttributeError, KeyError, TypeError, ValueError):
            child.end()  # a worker that answers nonsense has been taken over by the file
            raise errors.CorruptImage("file made its reader answer nonsense; it is damaged") from None


def _pool(memory_bytes: int) -> Pool:
    here = os.getpid(), memory_bytes
    return _pools.get(here) or _pools.setdefault(here, Pool(usable_cores(), _WORKER))


def _understood(reply: dict[str, Any], body: memoryview) -> Stack:
    """The stack in a reply, or its fault; `KeyError`, `TypeError`, `ValueError` if it is neither."""
    if reply.get("error") == errors.MissingExtra.__name__:
        raise errors.MissingExtra(str(reply["needed"]), str(reply["extra"]))
    raise_fault(reply)
    planes, height, width, channels = (int(n) for n in reply["shape"])
    spacing = reply["spacing_um"]
    if reply["axis"] not in ("none", "depth", "slice", "time", "tile"):
        raise ValueError("no axis of this name")
    return Stack(
        values=np.frombuffer(body, np.float32).reshape(planes, height, width, channels),
        axis=reply["axis"],
        positions=tuple(None if p is None else float(p) for p in reply["positions"]),
        spacing_um=None if spacing is None else (float(spacing[0]), float(spacing[1])),
        channels=tuple(_channel(**raw) for raw in reply["channels"]),
        bits=None if reply["bits"] is None else int(reply["bits"]),
        notes=tuple(str(note) for note in reply["notes"]),
    )


def _channel(name: str, value: float | None, unit: str | None) -> Channel:
    return Channel(str(name), None if value is None else float(value), None if unit is None else str(unit))
