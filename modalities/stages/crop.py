"""How does the picture look with the lesion filling it? Cut around its outline and scaled back."""

from __future__ import annotations

import numpy as np

from modalities.stages.segmentation import otsu
from plugins.specs import Mask, Pixels

MARGIN = 0.25
"""Of the lesion's larger extent, the skin that is kept on every side."""
LEAST = 0.3
"""Of each side of the picture, what is cut out at least: a smaller cut would be mostly blur."""


def box(mask: Mask) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the cut: of the picture's proportions, around the lesion, within it.

    An empty mask has the whole picture.
    """
    height, width = mask.shape
    if not mask.any():
        return 0.0, 0.0, float(width), float(height)
    y, x = np.nonzero(mask)
    tall, wide = float(np.ptp(y)) + 1, float(np.ptp(x)) + 1
    skin = 2 * MARGIN * max(tall, wide)
    share = min(1.0, max(LEAST, (tall + skin) / height, (wide + skin) / width))
    cut = share * width, share * height
    middle = float(x.min() + x.max() + 1) / 2, float(y.min() + y.max() + 1) / 2
    left, top = (
        min(max(m - c / 2, 0.0), side - c) for m, c, side in zip(middle, cut, (width, height), strict=True)
    )
    return left, top, left + cut[0], top + cut[1]


def crop(pixels: Pixels) -> Pixels:
    """The cut around what `otsu` outlines, at the picture's size; where nothing is found, the picture."""
    from PIL import Image

    height, width = pixels.shape[:2]
    cut = box(otsu(pixels))
    if cut == (0.0, 0.0, width, height):
        return pixels.copy()
    scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, cut)
    return np.asarray(scaled).copy()
