"""How is a map drawn over its picture? As colours whose opacity grows with what a cell says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.tree import FloatArray
from modalities.cnn.attribution import Attribution

LONGEST = 1024
"""Pixels of the longer side of what is drawn, at most."""
FOR, AGAINST, UNSEEN = (255, 225, 0), (0, 90, 255), (128, 128, 128)
UNSEEN_ALPHA = 150
CELLS, SIGNED_CELLS = 32, 16
"""A finer map is drawn as its sums over so many cells along a side: single pixels of a gradient are noise,
and neighbours of opposite signs cancel."""
FULL = 0.99
"""Of the cells, the share whose strongest is opaque: a few must not hide the rest."""
OPACITY = 0.7


@dataclass(frozen=True)
class Heat:
    """The picture (RGB) and what lies over it (RGBA), upright and of one size."""

    picture: Image.Image
    colours: Image.Image

    def flat(self, opacity: float = OPACITY) -> Image.Image:
        """Both as one RGB picture."""
        colours = self.colours.copy()
        colours.putalpha(colours.getchannel("A").point(lambda a: round(a * opacity)))
        base = self.picture.convert("RGBA")
        base.alpha_composite(colours)
        return base.convert("RGB")


def draw(found: Attribution) -> Heat:
    """Yellow speaks for the node, blue against it, by saliency yellow for either. Grey is unseen.

    A map of a cell for each pixel is summed up to 32 cells along a side, 16 where it has signs. Opacity is in
    proportion to a value's size, up to its 99th percentile; of fewer than 100 cells, to the largest.
    """
    height, width = found.picture.shape[:2]
    scale = min(1.0, LONGEST / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(found.picture).resize(size, Image.Resampling.BILINEAR)
    colours = Image.new("RGBA", size, (*UNSEEN, UNSEEN_ALPHA))
    x, y = size[0] / width, size[1] / height
    left, top, right, bottom = (round(v * s) for v, s in zip(found.frame, (x, y, x, y), strict=True))
    cells = Image.fromarray(
        _coloured(_summed(found.values, SIGNED_CELLS if found.is_signed else CELLS)), "RGBA"
    )
    colours.paste(cells.resize((right - left, bottom - top), Image.Resampling.BILINEAR), (left, top))
    return Heat(picture, colours)


def _summed(values: FloatArray, most: int) -> FloatArray:
    for axis, side in enumerate(values.shape):
        if side > most:
            starts = np.linspace(0, side, most, endpoint=False).round().astype(int)
            values = np.add.reduceat(values, starts, axis=axis)
    return values


def _coloured(values: FloatArray) -> npt.NDArray[np.uint8]:
    size = np.abs(values)
    top = float(np.quantile(size, FULL, method="higher")) or float(size.max()) or 1.0
    cells = np.empty((*values.shape, 4), np.uint8)
    cells[..., :3] = np.where(values[..., None] >= 0, FOR, AGAINST)
    cells[..., 3] = np.round(255 * np.minimum(1.0, size / top))
    return cells
