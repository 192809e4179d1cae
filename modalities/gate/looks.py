"""What does an image look like, in numbers that tell dermoscopy, close-up photographs and the rest apart?

All but the first eight are read from two smaller pictures: means over 28 x 28 cells, and a grey one of about
112 pixels a side, on which a hair is one or two pixels wide.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modalities.cnn.gate import FEATURES, describe
from modalities.cnn.preprocess import ByteImage, Planes, planes_of
from modalities.gate.lines import line_share

CELLS = 28
"""Cells along a side."""
FINE_SIDE = 112
"""About so many pixels along a side of the picture that hair is looked for in."""
INK_EXCESS = 0.2
"""Ink is a cell whose blue or green less its red is so much above the image's median: skin is red."""
LIT = 0.9
"""A cell is lit out where none of its colours is below this."""

LOOKS = (
    *FEATURES,
    "cell_red_spread", "cell_green_spread", "cell_blue_spread",
    "red_less_green", "green_less_blue", "red_less_green_spread", "green_less_blue_spread",
    "centre_red", "centre_green", "centre_blue",
    "corners", "darkest_corner",
    "log_edges_28", "log_edges_14", "log_edges_7", "log_detail",
    "grey", "lit", "hair", "ink",
)  # fmt: skip
"""Names of the statistics: the eight of `describe`, then those of this module."""
SHARES = ("dark", "bright", "lit", "hair", "ink")
"""Those that are shares of the image, most of them 0 in most images."""

FloatArray = npt.NDArray[np.float64]
Cells = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_CORNERS = tuple((y, x) for y in (slice(4), slice(-4, None)) for x in (slice(4), slice(-4, None)))
_MIDDLE = slice(CELLS // 4, CELLS - CELLS // 4)


def look(square: ByteImage) -> FloatArray:
    """The statistics of a uint8 image, H x W x 3 or planes, in the order of `LOOKS`; sides >= 28 pixels.

    Colours, their spreads and differences are in [-1, 1], white being 1; shares in [0, 1]; `log_` are natural
    logarithms. `centre_` is the middle, half of each side, less the whole; `corners` are 1/7 of a side.
    """
    planes = planes_of(square)
    cells = cells_of(planes)
    grey = fine_grey(planes)
    luma = np.einsum("c,chw->hw", _LUMA, cells)
    half = _halved(luma)
    chroma = cells[:2] - cells[1:]
    centre = cells[:, _MIDDLE, _MIDDLE].mean(axis=(1, 2), dtype=np.float64)
    corners = [float(luma[place].mean(dtype=np.float64)) for place in _CORNERS]
    overall = float(luma.mean(dtype=np.float64))
    return np.array(
        [
            *describe(planes),
            *cells.std(axis=(1, 2), dtype=np.float64),
            *chroma.mean(axis=(1, 2), dtype=np.float64),
            *chroma.std(axis=(1, 2), dtype=np.float64),
            *(centre - cells.mean(axis=(1, 2), dtype=np.float64)),
            sum(corners) / 4 - overall,
            min(corners) - overall,
            *(_log_edges(c) for c in (luma, half, _halved(half))),
            _log_detail(grey),
            overall,
            float((cells.min(axis=0) > np.float32(LIT)).mean()),
            line_share(grey),
            ink_share(cells),
        ]
    )


def cells_of(planes: Planes) -> Cells:
    """Means over 28 x 28 cells of planes, in [0, 1], float32 3 x 28 x 28.

    Pixels that fill no cell, at the right and the lower edge, are left out.
    """
    _, height, width = planes.shape
    high, wide = height // CELLS, width // CELLS
    whole = planes[:, : high * CELLS, : wide * CELLS].reshape(3, CELLS, high, wide * CELLS)
    rows = np.zeros((3, CELLS, wide * CELLS), np.uint32)
    for k in range(high):
        rows += whole[:, :, k]
    sums = np.zeros((3, CELLS, CELLS), np.uint32)
    for k in range(wide):
        sums += rows[..., k::wide]
    return np.asarray(sums.astype(np.float32) / np.float32(255 * high * wide))


def fine_grey(planes: Planes) -> Grey:
    """Grey of 256 levels (ITU-R BT.601), means over squares so that about 112 pixels make a side."""
    _, height, width = planes.shape
    step = max(1, round(min(height, width) / FINE_SIDE))
    red, green, blue = planes[:, : height - height % step, : width - width % step].astype(np.uint16)
    red *= 77
    green *= 150
    blue *= 29
    red += green
    red += blue
    red >>= 8
    if step == 1:
        return np.asarray(red, np.uint8)
    rows = red.reshape(-1, step, red.shape[1]).sum(axis=1, dtype=np.uint32)
    small = rows[:, ::step].copy()
    for k in range(1, step):
        small += rows[:, k::step]
    return np.asarray(small // (step * step), np.uint8)


def ink_share(cells: Cells) -> float:
    """Share of the cells that are a marker's blue, violet or green among skin.

    A bluish light raises the median too, and so is no ink.
    """
    excess = np.maximum(cells[1], cells[2]) - cells[0]
    limit = max(float(np.median(excess)) + INK_EXCESS, 0.02)
    return float((excess > np.float32(limit)).mean())


def _halved(cells: Cells) -> Cells:
    rows = cells[::2] + cells[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / np.float32(4))


def _log_edges(cells: Cells) -> float:
    down, right = np.abs(np.diff(cells, axis=0)), np.abs(np.diff(cells, axis=1))
    return float(np.log(down.mean(dtype=np.float64) + right.mean(dtype=np.float64) + 1e-4))


def _log_detail(grey: Grey) -> float:
    """Logarithm of the variance of the grey picture's Laplacian, levels counted to 1."""
    values = grey.astype(np.float32)
    found = values[1:-1, 1:-1] * np.float32(-4)
    for beside in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        found += beside
    return float(np.log(found.var(dtype=np.float64) / 255**2 + 1e-8))
