"""How do samples and distances that a file gives become a stack along `slice`?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import UnsupportedPixels
from modalities.stacks.stack import Channel, Stack

_TINT = 24


def volume(
    samples: npt.NDArray[Any],
    *,
    bits: int | None,
    spacing_um: tuple[float | None, float | None],
    positions_um: Sequence[float | None],
    notes: Sequence[str] = (),
) -> Stack:
    """Slices x rows x columns, or x 3 where grey is stored as RGB; distances of rows and columns, in um.

    Raises `UnsupportedPixels` where colours differ, as a scale of colours is not given by any of the formats.
    """
    if samples.ndim == 4:
        low, high = samples.min(axis=3).astype(np.int64), samples.max(axis=3).astype(np.int64)
        if (high - low).max(initial=0) > _TINT * 2 ** ((bits or 8) - 8):
            raise UnsupportedPixels("volume is in colour; export it in grey")
        samples = np.median(samples, axis=3)
    said = list(notes)
    down, across = (known_um(s) for s in spacing_um)
    spacing = (down, across) if down is not None and across is not None else None
    if spacing is None:
        said.append("the file gives no physical size of a pixel")
    if len(samples) > 1 and None in positions_um:
        said.append("the file gives no distance between its B-scans")
    return Stack(
        values=samples.astype(np.float32)[..., None],
        axis="slice",
        positions=tuple(positions_um),
        spacing_um=spacing,
        channels=(Channel("OCT"),),
        bits=bits,
        notes=tuple(said),
    )


def known_um(value: float | None) -> float | None:
    """A finite distance above zero, else `None`."""
    return value if value is not None and math.isfinite(value) and value > 0 else None


def evenly(step_um: float | None, slices: int) -> tuple[float | None, ...]:
    """Positions of so many slices at this distance, the first at 0; unknown without one."""
    step = known_um(step_um)
    return tuple(None if step is None else step * k for k in range(slices))
