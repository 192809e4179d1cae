"""What did a scanner record of one lesion: which planes, how far apart, in which channels?"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from core.errors import CorruptImage

FloatArray = npt.NDArray[np.float32]

Axis = Literal["none", "depth", "slice", "time", "tile"]
"""What runs from plane to plane: `depth` below the surface, `slice` across the lesion, `time` of recording,
`tile` for pieces of one larger picture, `none` for a single plane."""


@dataclass(frozen=True)
class Channel:
    """One channel: its name, and the physical quantity that tells it from the others.

    `value` is in `unit`, such as 780 in "nm" or .8 in "THz"; both are `None` where the file does not say.
    """

    name: str
    value: float | None = None
    unit: str | None = None


@dataclass(frozen=True)
class Stack:
    """Planes of one lesion as they were recorded, before any preprocessing.

    `values`: float32, planes x height x width x channels, finite, made read-only, in the file's own numbers
    (grey levels, dB, relative absorption; never rescaled). `positions`: one a plane along `axis`, in
    micrometres for depth and slice, days since the first for time, `None` where the file does not say; empty
    for `tile` and `none`. `spacing_um`: micrometres between rows and between columns, `None` where the file
    does not say. `bits`: that are stored for a sample, `None` for floating-point files. `notes` are for
    people: what was done to the file's content, and what it did not say. Raises `CorruptImage` for anything
    else.
    """

    values: FloatArray = field(repr=False)
    axis: Axis = "none"
    positions: tuple[float | None, ...] = ()
    spacing_um: tuple[float, float] | None = None
    channels: tuple[Channel, ...] = (Channel("grey"),)
    bits: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.values.ndim != 4 or self.values.dtype != np.float32 or not self.values.size:
            raise CorruptImage(
                "a stack holds float32 planes x height x width x channels, one of each at least"
            )
        if not np.isfinite(self.values).all():
            raise CorruptImage("file holds numbers that are not finite; export it again")
        if len(self.channels) != self.values.shape[3]:
            raise CorruptImage("file names another number of channels than it holds; export it again")
        if self.axis in ("none", "tile") and self.positions:
            raise CorruptImage("planes without an axis have no positions")
        if self.axis in ("depth", "slice", "time") and len(self.positions) != len(self.values):
            raise CorruptImage("file gives another number of positions than planes; export it again")
        if self.spacing_um and not all(math.isfinite(s) and s > 0 for s in self.spacing_um):
            raise CorruptImage("file gives a distance of pixels that is not above zero; export it again")
        self.values.flags.writeable = False
