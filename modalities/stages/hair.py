"""Where do dark hairs cross the picture, and what lies under them?

As DullRazor does it (Lee, Ng, Gallagher, Coldman and McLean, Computers in Biology and Medicine 27:533, 1997):
thin dark structures by a grey closing in several directions (`modalities.gate.lines`), short ones left out,
the rest painted over. Bright hair is not found.
"""

from __future__ import annotations

import numpy as np

from modalities.gate.lines import DEPTH, RIM, line_depth
from modalities.stages.arrays import grey_of
from modalities.stages.inpainting import fill
from plugins.specs import Mask, Pixels

SHORTEST = 20
"""Pixels that a hair spans at least, along the larger side of its box; shorter ones are dots and texture."""
HALO = 1
"""Pixels around a hair that its shadow and the camera's blur darken as well."""


def hairs(pixels: Pixels) -> Mask:
    """Dark hairs with their halo. A picture with a side under 28 pixels has none."""
    from scipy.ndimage import binary_dilation, find_objects, label

    if min(pixels.shape[:2]) < 28:
        return np.zeros(pixels.shape[:2], np.bool_)
    framed = np.pad(grey_of(pixels), RIM, mode="edge")
    thin = line_depth(framed)[RIM:-RIM, RIM:-RIM] > DEPTH
    numbered, found = label(thin, np.ones((3, 3)))
    long = np.zeros(found + 1, np.bool_)
    for k, (rows, columns) in enumerate(find_objects(numbered), start=1):
        long[k] = max(rows.stop - rows.start, columns.stop - columns.start) >= SHORTEST
    hairy: Mask = binary_dilation(long[numbered], np.ones((3, 3)), HALO)
    return hairy


def remove_hair(pixels: Pixels) -> Pixels:
    """The picture with dark hairs painted over."""
    return fill(pixels, hairs(pixels))
