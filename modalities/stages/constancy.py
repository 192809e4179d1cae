"""How would the picture look under white light?

The light's colour is the Minkowski mean of each channel, and each channel is divided by it: p = 1 is grey
world (Buchsbaum, Journal of the Franklin Institute 310:1, 1980), p = 6 shades of grey (Finlayson and Trezzi,
Color Imaging Conference 2004; for dermoscopy Barata, Celebi and Marques, IEEE JBHI 19:1146, 2015), and
p = infinity max-RGB (Land 1977). The values are taken as they stand in the file, without Barata's gamma
correction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plugins.specs import Pixels

SHADES = 6.0


def light(pixels: Pixels, p: float) -> npt.NDArray[np.float64]:
    """Colour of the light: three numbers > 0 of mean square 1; ones where a channel is black throughout."""
    counts = np.stack([np.bincount(pixels[..., c].ravel(), minlength=256) for c in range(3)])
    values = np.arange(256) / 255
    if np.isinf(p):
        found = np.array([values[row > 0].max() for row in counts])
    else:
        found = (counts @ values**p / counts.sum(axis=1)) ** (1 / p)
    if found.min() <= 0:
        return np.ones(3)
    scaled: npt.NDArray[np.float64] = found / np.sqrt((found**2).mean())
    return scaled


def whitened(pixels: Pixels, p: float) -> Pixels:
    """Each channel over the light's. What passes 255, in the channels that the light lacks, becomes 255."""
    value = np.arange(256)
    table = np.minimum(np.round(value[:, None] / light(pixels, p)), 255).astype(np.uint8)
    white = np.empty_like(pixels)
    for channel in range(3):
        white[..., channel] = table[:, channel][pixels[..., channel]]
    return white


def grey_world(pixels: Pixels) -> Pixels:
    """The mean colour becomes grey."""
    return whitened(pixels, 1.0)


def shades_of_grey(pixels: Pixels) -> Pixels:
    """The Minkowski mean of order 6 becomes grey."""
    return whitened(pixels, SHADES)


def max_rgb(pixels: Pixels) -> Pixels:
    """The brightest value of each channel becomes the same."""
    return whitened(pixels, np.inf)
