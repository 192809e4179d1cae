"""What does the net see of a volume? Neighbouring B-scans, flattened, as attenuation and to scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from modalities.oct.attenuation import attenuation, last_seen_row, noise_level, rest_below
from modalities.oct.scale import Scale, find_scale
from modalities.stacks.areas import area_mean
from modalities.stacks.stack import FloatArray, Stack
from modalities.stacks.surface import flattened, surface_rows

SIDE = 96
MOST_VIEWS = 6
NEIGHBOURS = 3
WIDTH_UM, DEPTH_UM, ABOVE_UM = 6000.0, 960.0, 60.0
"""What a view shows: so much across, and from so much above the surface down; a pixel is 62.5
by 10 micrometres."""

_LEAST_DB = -20.0
"""Against the median coefficient; below it there is no signal but what subtracted noise leaves."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """Views, B-scans x 3 x `SIDE` x `SIDE`, and what was found on the way.

    A view's channels are a B-scan and its neighbours on both sides; at the volume's ends a slice stands for
    the one that is missing. Values are decibels of the attenuation coefficient, about 0 and 1 in median and
    spread over what is seen; 0 outside. `coefficients`: what the views were made of, per mm where the file
    gives distances, else per row; NaN where nothing is seen. `to_scale`: a view shows `WIDTH_UM` x
    `DEPTH_UM`.
    """

    views: FloatArray = field(repr=False)
    coefficients: Array = field(repr=False)
    centres: tuple[int, ...]
    scale: Scale
    to_scale: bool


def prepare(stack: Stack) -> Prepared:
    """Views of `MOST_VIEWS` B-scans at most, evenly over the volume, but its ends where it has three or more.

    Speckle is averaged in intensities over the columns of a cell of the view before the coefficient is taken,
    and over its rows afterwards, so that no layer is smeared into the next; then a median over 3 x 3 cells.
    """
    slices = len(stack.values)
    inner = np.arange(slices) if slices < NEIGHBOURS else np.arange(1, slices - 1)
    centres = inner[np.unique(np.linspace(0, len(inner) - 1, MOST_VIEWS).round().astype(int))]
    wanted = np.clip(centres[:, None] + np.arange(NEIGHBOURS) - NEIGHBOURS // 2, 0, slices - 1)
    used, places = np.unique(wanted, return_inverse=True)
    planes = stack.values[used, :, :, 0]
    scale = find_scale(planes, stack.bits)
    decibels = scale.decibels(planes)
    height, width = planes.shape[1:]
    sized = stack.spacing_um
    margin = round(ABOVE_UM / sized[0]) if sized else round(ABOVE_UM / DEPTH_UM * height)
    margin = min(margin, height)
    rows, columns = _grid(height, width, sized)
    levels = np.stack([_flat(plane, margin) for plane in decibels])
    seen = np.isfinite(levels)
    highest = float(levels[seen].max())
    power = np.where(seen, 10 ** ((np.where(seen, levels, highest) - highest) / 10), 0.0)
    air = seen & (np.arange(levels.shape[1]) < margin - 2)[None, :, None]
    noise = noise_level(power, air) if air.any() else noise_level(power, np.zeros_like(seen))
    across = np.nan_to_num(area_mean(power, np.arange(levels.shape[1] + 1.0), columns))
    skin = np.maximum(across[:, margin:] - noise, 0)
    last = last_seen_row(skin, noise)
    skin = skin[:, : last + 1]
    pixel = sized[0] / 1e3 if sized else 1.0
    mu = attenuation(skin, pixel, rest_below(skin, last))
    cells = area_mean(mu, rows - margin, np.arange(SIDE + 1.0))
    cells = np.where(np.isnan(cells), cells, median_filter(np.nan_to_num(cells), (1, 3, 3), mode="nearest"))
    cells[..., np.isnan(area_mean(np.ones((1, width)), np.arange(2.0), columns))[0]] = np.nan
    stacked = cells[places.reshape(wanted.shape)]
    return Prepared(
        _standard(stacked), stacked, tuple(int(c) for c in centres), scale, to_scale=sized is not None
    )


def views(stack: Stack) -> FloatArray:
    """float32 views x 3 x `SIDE` x `SIDE`; see `prepare`."""
    return prepare(stack).views


def _flat(plane: Array, margin: int) -> FloatArray:
    shown = plane.astype(np.float32)
    return flattened(shown, surface_rows(shown), margin)


def _grid(height: int, width: int, sized: tuple[float, float] | None) -> tuple[Array, Array]:
    """Edges of the cells in rows and columns, rows counted from `margin` above the surface."""
    if sized is None:
        return np.linspace(0, height, SIDE + 1), np.linspace(0, width, SIDE + 1)
    across = WIDTH_UM / sized[1]
    return (
        np.linspace(0, DEPTH_UM / sized[0], SIDE + 1),
        width / 2 + np.linspace(-across / 2, across / 2, SIDE + 1),
    )


def _standard(coefficients: Array) -> FloatArray:
    """Decibels of each view, median 0 and spread 1 over what is seen."""
    out = np.zeros(coefficients.shape, np.float32)
    for view, to in zip(coefficients, out, strict=True):
        inside = np.isfinite(view)
        positive = inside & (view > 0)
        if not positive.any():
            continue
        middle = float(np.median(view[positive]))
        ratio = np.maximum(view[inside] / middle, 10 ** (_LEAST_DB / 10))
        shown = 10 * np.log10(ratio)
        spread = float(shown.std())
        to[inside] = (shown - np.median(shown)) / spread if spread > 1e-6 else 0
    return out
