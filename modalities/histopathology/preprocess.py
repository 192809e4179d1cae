"""What does the net see of a slide's tiles? The two stains, as amounts that do not hang on the laboratory."""

from __future__ import annotations

import numpy as np

from modalities.histopathology.stains import normalised
from modalities.stacks.stack import FloatArray, Stack

CELL = 2
"""Pixels of a tile, across and down, that one pixel of a view stands for."""
CHANNELS = ("haematoxylin", "darkest haematoxylin", "eosin")
_MEAN = np.array([0.3, 0.6, 0.45], np.float32)
_SPREAD = np.array([0.45, 0.6, 0.3], np.float32)
"""About those of the normalised amounts over simulated skin."""


def views(stack: Stack) -> FloatArray:
    """Tiles x 3 x side/2 x side/2: the stains of every tile, in `stack`'s order.

    Over each 2 x 2 pixels the mean of either stain, and the most haematoxylin, which keeps chromatin and
    nucleoli that the mean would thin out.
    """
    amounts = normalised(stack.values)
    tiles, height, width, _ = amounts.shape
    cells = amounts.reshape(tiles, height // CELL, CELL, width // CELL, CELL, 2)
    mean = cells.mean((2, 4))
    seen = np.stack([mean[..., 0], cells[..., 0].max((2, 4)), mean[..., 1]], -1)
    return np.ascontiguousarray(((seen - _MEAN) / _SPREAD).transpose(0, 3, 1, 2))


def vary(seen: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Every tile turned by quarters and mirrored, each for itself: a section lies on the glass anyhow."""
    quarters, mirrored = rng.integers(0, 4, len(seen)), rng.random(len(seen)) < 0.5
    turned = (np.rot90(tile, k, (1, 2)) for tile, k in zip(seen, quarters, strict=True))
    return np.stack([t[..., ::-1] if m else t for t, m in zip(turned, mirrored, strict=True)])
