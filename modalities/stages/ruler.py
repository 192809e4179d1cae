"""Where do the ticks of a ruler stand, and what lies under them?

Ticks are thin, dark, straight, parallel and equally far apart on a line across them. A pair of like strokes
proposes a line; a line that enough strokes keep to, at equal steps, is a ruler. Its scale is not read: a tick
may be a millimetre, half of one or a sixteenth of an inch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modalities.gate.lines import DEPTH, RIM, line_depth
from modalities.stages.arrays import grey_of
from modalities.stages.inpainting import fill
from plugins.specs import Mask, Pixels

LENGTHS = (4, 60)
"""Pixels that a tick is long."""
SLENDER = 2.0
"""A tick is so many times as long as wide at least."""
TURN = 12.0
"""Degrees between two ticks at most."""
OFF = 4.0
"""Pixels that a tick's nearer end or middle lies off the line at most."""
TICKS = 6
"""Ticks of a ruler at least."""
EVEN = 0.2
"""Part of a step that a gap may be off a whole number of steps."""
STEADY = 0.8
"""Share of gaps that must be even."""
MOST_STROKES = 200
"""A picture with more thin strokes is hairy; no ruler is looked for."""

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Strokes:
    """Thin dark strokes: number in `numbered`, middle x and y in pixels, direction in radians, length."""

    numbered: npt.NDArray[np.int32]
    names: npt.NDArray[np.int64]
    middles: Points
    angles: Points
    lengths: Points


def ticks(pixels: Pixels) -> Mask:
    """Ticks of a ruler with one pixel around them; nothing where no ruler is found."""
    from scipy.ndimage import binary_dilation

    nothing = np.zeros(pixels.shape[:2], np.bool_)
    if min(pixels.shape[:2]) < 28:
        return nothing
    strokes = strokes_of(pixels)
    if not TICKS <= len(strokes.names) <= MOST_STROKES:
        return nothing
    found = np.zeros(len(strokes.names), np.bool_)
    for k in range(len(strokes.names)):
        if not found[k]:
            found |= _ruler(strokes, k)
    if not found.any():
        return nothing
    ruled: Mask = binary_dilation(np.isin(strokes.numbered, strokes.names[found]), np.ones((3, 3)))
    return ruled


def strokes_of(pixels: Pixels) -> Strokes:
    """Every thin dark stroke that is as long and slender as a tick."""
    from scipy.ndimage import find_objects, label

    framed = np.pad(grey_of(pixels), RIM, mode="edge")
    numbered, _ = label(line_depth(framed)[RIM:-RIM, RIM:-RIM] > DEPTH, np.ones((3, 3)))
    rows = []
    for name, box in enumerate(find_objects(numbered), start=1):
        y, x = np.nonzero(numbered[box] == name)
        if len(y) < LENGTHS[0]:
            continue
        off = np.stack([x - x.mean(), y - y.mean()])
        spread, axes = np.linalg.eigh(off @ off.T / len(y))
        # A line of n pixels has the variance (n * n - 1) / 12.
        width, length = np.sqrt(12 * np.maximum(spread, 0) + 1)
        if LENGTHS[0] <= length <= LENGTHS[1] and length >= SLENDER * width:
            middle = (box[1].start + x.mean(), box[0].start + y.mean())
            rows.append((name, *middle, np.arctan2(axes[1, 1], axes[0, 1]), length))
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Strokes(numbered, table[:, 0].astype(np.int64), table[:, 1:3], table[:, 3], table[:, 4])


def _ruler(strokes: Strokes, k: int) -> Mask:
    """The strokes of the ruler that stroke `k` is a tick of; none where it is of none."""
    along = np.array([np.cos(strokes.angles[k]), np.sin(strokes.angles[k])])
    across = np.array([-along[1], along[0]])
    turned = np.abs((strokes.angles - strokes.angles[k] + np.pi / 2) % np.pi - np.pi / 2)
    off = strokes.middles - strokes.middles[k]
    # Long and short ticks start from one line: what is off by half the difference keeps to it.
    slack = OFF + np.abs(strokes.lengths - strokes.lengths[k]) / 2
    near = (turned <= np.deg2rad(TURN)) & (np.abs(off @ along) <= slack + 0.06 * np.abs(off @ across))
    if near.sum() < TICKS:
        return np.zeros(len(near), np.bool_)
    gaps = np.diff(np.sort((off @ across)[near]))
    step = float(np.median(gaps))
    if step < 2:
        return np.zeros(len(near), np.bool_)
    steps = np.round(gaps / step)
    even = (steps >= 1) & (np.abs(gaps / step - steps) <= EVEN)
    return near if even.mean() >= STEADY else np.zeros(len(near), np.bool_)


def remove_ruler(pixels: Pixels) -> Pixels:
    """The picture with the ticks of a ruler painted over."""
    return fill(pixels, ticks(pixels))
