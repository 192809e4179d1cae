"""What does each engine make of one net, on this machine?"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.cores import usable_cores
from core.errors import DxtreeError
from core.manifest import Bundle
from dxtree.speed.rounds import interleaved
from modalities.engines import Engine, load_engine

REFERENCE = "torch"
"""Ratios are to torch's eager mode, or, without torch, to the first engine measured."""
IMAGES_A_CALLER = 4
"""Images that each of the side-by-side callers judges in one round."""


@dataclass(frozen=True)
class EngineSpeed:
    """One engine on one net. `refused` says why nothing was measured; all else is then absent."""

    engine: str
    refused: str | None = None
    images_per_second: float | None = None
    """Single images from as many callers as there are cores, as `diagnose_many` calls it."""
    p50_ms: float | None = None
    """Latency of one image with every core at its service."""
    p99_ms: float | None = None
    ratio: float | None = None
    """Images per second over those of the reference: the median over rounds."""
    memory_mb: float | None = None
    """Peak memory of a process of its own that loads the net and judges one image."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def measure_engines(
    folder: Path,
    bundle: Bundle,
    names: Sequence[str],
    *,
    rounds: int,
    progress: Callable[[int, int], None] | None = None,
) -> list[EngineSpeed]:
    """Each engine on the net of a modality's bundle, which lies in `folder`; rounds are interleaved.

    An engine that is not installed or not checked for this bundle is listed with the reason.
    """
    side = int(bundle.require("preprocessing", dict)["size"])
    image = np.random.default_rng(0).standard_normal((1, 3, side, side)).astype(np.float32)
    cores = usable_cores()
    alone: dict[str, Engine] = {}
    crowd: dict[str, Engine] = {}
    refused: dict[str, str] = {}
    for name in names:
        try:
            one, many = load_engine(bundle, name), load_engine(bundle, name, calls=cores)
            one(image)
            alone[name], crowd[name] = one, many
        except DxtreeError as error:
            refused[name] = error.safe_message
    with ThreadPoolExecutor(cores) as pool:

        def together(engine: Engine) -> Callable[[], object]:
            images = [image] * (cores * IMAGES_A_CALLER)
            return lambda: list(pool.map(engine, images))

        tasks: dict[str, Callable[[], object]] = {f"{n}/one": partial(e, image) for n, e in alone.items()}
        tasks |= {f"{n}/many": together(e) for n, e in crowd.items()}
        took = interleaved(tasks, rounds=rounds, progress=progress)
    reference = REFERENCE if REFERENCE in alone else next(iter(alone), None)
    found = []
    for name in names:
        if name in refused:
            found.append(EngineSpeed(name, refused[name]))
            continue
        found.append(
            EngineSpeed(
                name,
                images_per_second=cores * IMAGES_A_CALLER / took.median(f"{name}/many"),
                p50_ms=1e3 * took.median(f"{name}/one"),
                p99_ms=1e3 * took.percentile(f"{name}/one", 0.99),
                ratio=took.ratio(f"{reference}/many", f"{name}/many"),
                memory_mb=peak_memory(folder, name),
            )
        )
    return found


def recommended(speeds: Sequence[EngineSpeed]) -> EngineSpeed | None:
    """The engine with the most images per second of those that may be used; `None` where none may."""
    usable = [s for s in speeds if s.images_per_second is not None]
    return max(usable, key=lambda s: s.images_per_second or 0.0, default=None)


def peak_memory(folder: Path, engine: str) -> float | None:
    """Megabytes at the peak of a fresh process with this engine; `None` where the system does not tell."""
    command = [sys.executable, "-m", "dxtree.speed.memory", str(folder), engine]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this module
    try:
        return float(done.stdout)
    except ValueError:
        return None
