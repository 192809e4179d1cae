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

_LUMA = np.array([0.299, 0.587, 0.114])


def _places() -> FloatArray:
    """Rows that take the means of the whole, the middle and the four corners, from cells row by row."""
    found = np.zeros((6, CELLS, CELLS))
    found[0] = 1
    found[1, CELLS // 4 : -CELLS // 4, CELLS // 4 : -CELLS // 4] = 1
    for k, (y, x) in enumerate(((0, 0), (0, -4), (-4, 0), (-4, -4))):
        found[2 + k, y : y + 4 or None, x : x + 4 or None] = 1
    return np.asarray((found / found.sum(axis=(1, 2), keepdims=True)).reshape(6, -1), np.float64)


_PLACES = _places()


def look(square: ByteImage) -> FloatArray:
    """The statistics of a uint8 image, H x W x 3 or planes, in the order of `LOOKS`; sides >= 28 pixels.

    Colours, their spreads and differences are in [-1, 1], white being 1; shares in [0, 1]; `log_` are natural
    logarithms. `centre_` is the middle, half of each side, less the whole; `corners` are 1/7 of a side.
    """
    planes = planes_of(square)
    cells = cells_of(planes)
    grey = fine_grey(planes)
    rows = np.empty((5, CELLS * CELLS))
    rows[:3] = cells.reshape(3, -1)
    rows[3:] = rows[:2] - rows[1:3]
    # einsum throughout: a product of matrices would wake threads, which wait for those of the engine.
    means = np.einsum("in,kn->ik", rows, _PLACES)
    whole = means[:, 0]
    spreads = np.sqrt(np.maximum(np.einsum("in,in->i", rows, rows) / rows.shape[1] - whole**2, 0.0))
    overall, _, *corners = np.einsum("c,ck->k", _LUMA, means[:3]).tolist()
    luma = np.einsum("c,cn->n", _LUMA, rows[:3]).reshape(CELLS, CELLS)
    half = _halved(luma)
    return np.array(
        [
            *describe(planes),
            *spreads[:3],
            *whole[3:],
            *spreads[3:],
            *(means[:3, 1] - whole[:3]),
            sum(corners) / 4 - overall,
            min(corners) - overall,
            *(_log_edges(c) for c in (luma, half, _halved(half))),
            _log_detail(grey),
            overall,
            np.count_nonzero(rows[:3].min(axis=0) > LIT) / rows.shape[1],
            line_share(grey),
            ink_share(rows[:3]),
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


def ink_share(colours: FloatArray) -> float:
    """Share of the cells, 3 x cells, that are a marker's blue, violet or green among skin.

    A bluish light raises the median too, and so is no ink.
    """
    excess = np.maximum(colours[1], colours[2]) - colours[0]
    limit = max(float(np.median(excess)) + INK_EXCESS, 0.02)
    return np.count_nonzero(excess > limit) / len(excess)


def _halved(cells: FloatArray) -> FloatArray:
    rows = cells[::2] + cells[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 4)


def _log_edges(cells: FloatArray) -> float:
    side = len(cells)
    steps = np.abs(cells[1:] - cells[:-1]).sum() + np.abs(cells[:, 1:] - cells[:, :-1]).sum()
    return float(np.log(steps / (side * (side - 1)) + 1e-4))


def _log_detail(grey: Grey) -> float:
    """Logarithm of the variance of the grey picture's Laplacian, levels counted to 1."""
    values = grey.astype(np.int16)
    found = values[1:-1, 1:-1] * np.int16(-4)
    for beside in (values[:-2, 1:-1], values[2:, 1:-1], values[1:-1, :-2], values[1:-1, 2:]):
        found += beside
    return float(np.log(found.var(dtype=np.float64) / 255**2 + 1e-8))
