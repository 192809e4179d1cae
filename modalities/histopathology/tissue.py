"""Where on a slide is tissue, and which tiles of it stand for the whole?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import EmptyInput

LEAST_SATURATION = 0.05
"""Below this saturation nothing is tissue, whatever the threshold: glass has dust, shadows and noise."""
_LEAST_SHARE = 0.5
_BINS = 256


@dataclass(frozen=True)
class Tile:
    """One square of a slide: its left and top edge, in tiles from the upper left corner."""

    column: int
    row: int


def otsu(values: npt.NDArray[np.float32]) -> float:
    """The threshold between two groups of numbers from 0 to 1 that parts them best (Otsu 1979)."""
    counts, edges = np.histogram(values, _BINS, (0, 1))
    middle = (edges[:-1] + edges[1:]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middle)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    between = np.nan_to_num(between)
    best = np.flatnonzero(between == between.max())
    return float(edges[1:][best].mean())


def saturation(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Saturation of HSV, 0 to 1: height x width x 3 to height x width."""
    most = pixels.max(-1).astype(np.float32)
    least = pixels.min(-1)
    found: npt.NDArray[np.float32] = np.divide(most - least, most, out=np.zeros_like(most), where=most > 0)
    return found


def tissue_mask(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which pixels of a small view of the slide show stained tissue: Otsu's threshold on saturation, at
    least `LEAST_SATURATION`. Glass, black frames and grey marks have none.
    """
    coloured = saturation(pixels)
    return coloured > max(otsu(coloured), LEAST_SATURATION)


def choose_tiles(
    mask: npt.NDArray[np.bool_], tile: tuple[float, float], most: int
) -> tuple[tuple[Tile, ...], int]:
    """At most `most` tiles, spread evenly over the tissue, and how many there were to choose from.

    `tile`: height and width of a tile in pixels of `mask`, fractions allowed. Tiles lie whole on the slide,
    side by side from its upper left corner, and hold tissue in half of their area or more; where none does,
    the one that holds most is taken. Walked in Morton order, which keeps neighbours together, every k-th is
    taken: the same mask gives the same tiles.

    Raises `EmptyInput` where there is no tissue at all, or the slide is smaller than a tile.
    """
    rows, columns = (int(n / side + 1e-6) for n, side in zip(mask.shape, tile, strict=True))
    if not rows or not columns:
        raise EmptyInput("slide is smaller than one tile; scan more of the section")
    share = _shares(mask, tile, rows, columns)
    found = np.argwhere(share >= _LEAST_SHARE)
    if not len(found):
        if not share.max() > 0:
            raise EmptyInput("slide shows no stained tissue; was the glass scanned beside the section?")
        found = np.argwhere(share == share.max())[:1]
    found = found[np.argsort([_morton(int(row), int(column)) for row, column in found])]
    taken = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    return tuple(Tile(int(column), int(row)) for row, column in found[taken]), len(found)


def _shares(
    mask: npt.NDArray[np.bool_], tile: tuple[float, float], rows: int, columns: int
) -> npt.NDArray[np.float64]:
    """Share of tissue in each tile, from sums over rectangles."""
    sums = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int64)
    sums[1:, 1:] = mask.cumsum(0, dtype=np.int64).cumsum(1)
    edges = []
    for count, side, length in zip((rows, columns), tile, mask.shape, strict=True):
        at = np.arange(count + 1) * side
        first = np.minimum(at[:-1].astype(int), length - 1)
        last = np.clip(np.rint(at[1:]).astype(int), first + 1, length)
        edges.append((first, last))
    (top, bottom), (left, right) = edges
    area = (bottom - top)[:, None] * (right - left)
    inside = (
        sums[np.ix_(bottom, right)]
        - sums[np.ix_(top, right)]
        - sums[np.ix_(bottom, left)]
        + sums[np.ix_(top, left)]
    )
    return np.asarray(inside / area)


def _morton(row: int, column: int) -> int:
    code = 0
    for bit in range(max(row, column).bit_length()):
        code |= (column >> bit & 1) << 2 * bit | (row >> bit & 1) << 2 * bit + 1
    return code
