"""What does an image look like, in numbers that tell dermoscopy, close-up photographs and the rest apart?

All but the sharpness are read from smaller pictures: means over squares of pixels, 112 or more of them along
a side, on which a hair is one or two wide, and means over 28 x 28 cells of those.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modalities.cnn.preprocess import ByteImage, Planes, planes_of
from modalities.gate.lines import line_share

CELLS = 28
"""Cells along a side."""
FINE_SIDE = 112
"""At least so many squares along the short side of the fine picture, where the image has so many pixels."""
INK_EXCESS = 0.2
"""Ink is a cell whose blue or green less its red is so much above the image's median: skin is red."""
LIT = 0.9
"""A cell is lit out where none of its colours is below this."""
DARK, BRIGHT = 0.06, 0.97
"""Greys below and above which a square is dark, is bright."""

LOOKS = (
    "red", "green", "blue", "contrast", "log_sharpness", "saturation", "dark", "bright",
    "cell_red_spread", "cell_green_spread", "cell_blue_spread",
    "red_less_green", "green_less_blue", "red_less_green_spread", "green_less_blue_spread",
    "centre_red", "centre_green", "centre_blue",
    "corners", "darkest_corner",
    "log_edges_28", "log_edges_14", "log_edges_7", "log_detail",
    "grey", "lit", "hair", "ink",
)  # fmt: skip
"""Names of the statistics."""
SHARES = ("dark", "bright", "lit", "hair", "ink")
"""Those that are shares of the image, most of them 0 in most images."""

FloatArray = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Grey of red, green and blue (ITU-R BT.601)."""


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
    logarithms. `contrast` is the spread of the fine grey, `saturation` the mean over cells of the largest
    colour less the smallest. `centre_` is the middle, half of each side, less the whole; `corners` are 1/7
    of a side.
    """
    planes = planes_of(square)
    fine = fine_of(planes)
    grey = np.einsum("c,chw->hw", _LUMA, fine)
    rows = np.empty((5, CELLS * CELLS))
    colours = rows[:3]
    colours[:] = cells_of(fine).reshape(3, -1)
    rows[3:] = rows[:2] - rows[1:3]
    # einsum throughout: a product of matrices would wake threads, which wait for those of the engine.
    means = np.einsum("in,kn->ik", rows, _PLACES)
    whole = means[:, 0]
    spreads = np.sqrt(np.maximum(np.einsum("in,in->i", rows, rows) / rows.shape[1] - whole**2, 0.0))
    overall, _, *corners = np.einsum("c,ck->k", _LUMA, means[:3]).tolist()
    luma = np.einsum("c,cn->n", _LUMA, colours).reshape(CELLS, CELLS)
    half = _halved(luma)
    least = colours.min(axis=0)
    return np.array(
        [
            *whole[:3],
            np.sqrt(_variance(grey - np.float32(0.5))),
            log_sharpness(planes[1]),
            (colours.max(axis=0) - least).mean(),
            np.count_nonzero(grey < DARK) / grey.size,
            np.count_nonzero(grey > BRIGHT) / grey.size,
            *spreads[:3],
            *whole[3:],
            *spreads[3:],
            *(means[:3, 1] - whole[:3]),
            sum(corners) / 4 - overall,
            min(corners) - overall,
            *(_log_edges(c) for c in (luma, half, _halved(half))),
            _log_detail(grey),
            overall,
            np.count_nonzero(least > LIT) / least.size,
            line_share((grey * np.float32(255)).astype(np.uint8)),
            ink_share(colours),
        ]
    )


def fine_of(planes: Planes) -> Floats:
    """Means over squares of pixels, 112 or more along the short side, in [0, 1], float32 planes.

    Pixels that fill no square, at the right and the lower edge, are left out.
    """
    _, height, width = planes.shape
    step = max(1, min(height, width) // FINE_SIDE)
    inside = planes[:, : height - height % step, : width - width % step]
    rows = inside[:, ::step].astype(np.uint16, order="C")
    for k in range(1, step):
        rows += inside[:, k::step]
    if step == 2:
        # Both of a pair at once, as the halves of one number.
        pairs = rows.view(np.uint32)
        whole = (pairs & 0xFFFF) + (pairs >> 16)
    else:
        whole = rows[..., ::step].astype(np.uint32)
        for k in range(1, step):
            whole += rows[..., k::step]
    fine = whole.astype(np.float32)
    fine *= np.float32(1 / (255 * step * step))
    return fine


def cells_of(fine: Floats) -> Floats:
    """Means over 28 x 28 cells of the fine picture, whose sides are at least that.

    Squares that fill no cell are left out, as many at one edge as at the other.
    """
    _, height, width = fine.shape
    high, wide = height // CELLS, width // CELLS
    top, left = (height - high * CELLS) // 2, (width - wide * CELLS) // 2
    inside = fine[:, top : top + high * CELLS, left : left + wide * CELLS]
    rows = inside[:, ::high].copy()
    for k in range(1, high):
        rows += inside[:, k::high]
    cells = rows[..., ::wide].copy()
    for k in range(1, wide):
        cells += rows[..., k::wide]
    cells /= np.float32(high * wide)
    return cells


def log_sharpness(plane: Grey) -> float:
    """Logarithm of the variance of the Laplacian of every other row of one plane, levels counted to 1.

    After Pech-Pacheco et al., ICPR 2000. The green plane is most of the grey.
    """
    values = plane.astype(np.int16)
    middle = values[1:-1:2]
    found = middle[:, 1:-1] * np.int16(-4)
    found += values[:-2:2, 1:-1]
    found += values[2::2, 1:-1][: len(found)]
    found += middle[:, :-2]
    found += middle[:, 2:]
    return float(np.log(_variance(found.astype(np.float32)) / 255**2 + 1e-8))


def ink_share(colours: FloatArray) -> float:
    """Share of the cells, 3 x cells, that are a marker's blue, violet or green among skin.

    A bluish light raises the median too, and so is no ink.
    """
    excess = np.maximum(colours[1], colours[2]) - colours[0]
    middle = len(excess) // 2
    limit = max(float(np.partition(excess, middle)[middle]) + INK_EXCESS, 0.02)
    return np.count_nonzero(excess > limit) / len(excess)


def _variance(values: Floats) -> float:
    """Of values about 0: summed a row at a time in float32, the rows in float64."""
    mean = float(np.einsum("hw->h", values).sum(dtype=np.float64)) / values.size
    squares = float(np.einsum("hw,hw->h", values, values).sum(dtype=np.float64)) / values.size
    return max(squares - mean * mean, 0.0)


def _halved(cells: FloatArray) -> FloatArray:
    rows = cells[::2] + cells[1::2]
    return np.asarray((rows[:, ::2] + rows[:, 1::2]) / 4)


def _log_edges(cells: FloatArray) -> float:
    side = len(cells)
    steps = np.abs(cells[1:] - cells[:-1]).sum() + np.abs(cells[:, 1:] - cells[:, :-1]).sum()
    return float(np.log(steps / (side * (side - 1)) + 1e-4))


def _log_detail(grey: Floats) -> float:
    """Logarithm of the variance of the fine grey's Laplacian."""
    found = grey[1:-1, 1:-1] * np.float32(-4)
    for beside in (grey[:-2, 1:-1], grey[2:, 1:-1], grey[1:-1, :-2], grey[1:-1, 2:]):
        found += beside
    return float(np.log(_variance(found) + 1e-8))
