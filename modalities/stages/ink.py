"""Where has a surgical pen drawn on the skin, and what lies under it?

Gentian violet, blue and green ink is more saturated than skin, blood or pigment and lies on the other side of
the circle of hues. A blue-white veil is bluish too, and paler: a veil as saturated as ink is taken for it.
"""

from __future__ import annotations

import numpy as np

from modalities.stages.inpainting import fill
from plugins.specs import Mask, Pixels

HUES = (120.0, 310.0)
"""Degrees from green through blue to violet."""
SATURATION, VALUE = 0.35, 0.15
"""Least saturation and value (HSV, 0 to 1): below lie the veil and shadows without a hue."""
SMALLEST = 5e-4
"""Of the picture, what a stroke covers at least."""


def ink(pixels: Pixels) -> Mask:
    """Strokes of a green, blue or violet pen, with one pixel around them."""
    from scipy.ndimage import binary_dilation, binary_opening, label

    rgb = pixels.astype(np.float32)
    top, bottom = rgb.max(axis=2), rgb.min(axis=2)
    spread = top - bottom
    coloured = (spread > SATURATION * top) & (top > 255 * VALUE)
    red, green, blue = (rgb[..., c] for c in range(3))
    safe = np.where(spread > 0, spread, 1)
    hue = np.where(
        top == red,
        ((green - blue) / safe) % 6,
        np.where(top == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    hue *= 60
    stroke = binary_opening(coloured & (hue > HUES[0]) & (hue < HUES[1]), np.ones((2, 2)))
    numbered, found = label(stroke, np.ones((3, 3)))
    large = np.bincount(numbered.ravel(), minlength=found + 1) >= SMALLEST * stroke.size
    large[0] = False
    inked: Mask = binary_dilation(large[numbered], np.ones((3, 3)))
    return inked


def remove_ink(pixels: Pixels) -> Pixels:
    """The picture with pen strokes painted over."""
    return fill(pixels, ink(pixels))
