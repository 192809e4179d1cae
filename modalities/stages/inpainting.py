"""What would stand where a mask hides the picture? Laplace's equation between the pixels around it.

DullRazor (Lee et al. 1997) takes the line between the two nearest pixels on either side of a hair; the
harmonic filling is its counterpart for masks of any shape.
"""

from __future__ import annotations

import numpy as np

from plugins.specs import Mask, Pixels

ROUNDS = 12
"""Rounds of averaging over the four neighbours, from the nearest pixel that is seen."""


def fill(pixels: Pixels, hidden: Mask) -> Pixels:
    """The picture with what is `hidden` filled in; every other pixel is kept to the bit.

    A picture that is hidden wholly, or not at all, comes back as it is.
    """
    from scipy.ndimage import distance_transform_edt

    if not hidden.any() or hidden.all():
        return pixels.copy()
    rows, columns = distance_transform_edt(hidden, return_distances=False, return_indices=True)
    padded = np.pad(pixels[rows, columns].astype(np.float32), ((1, 1), (1, 1), (0, 0)), mode="edge")
    y, x = np.nonzero(hidden)
    y, x = y + 1, x + 1
    for _ in range(ROUNDS):
        padded[y, x] = (padded[y - 1, x] + padded[y + 1, x] + padded[y, x - 1] + padded[y, x + 1]) / 4
    filled = pixels.copy()
    filled[hidden] = np.round(padded[y, x]).astype(np.uint8)
    return filled
