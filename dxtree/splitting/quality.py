"""Is a photograph too blurred, or taken from too far away, to judge a model by?

Esteva et al. 2017 removed blurred and far-away images from the validation and test sets and trained on them.
They state no measure. The limits here are ours: set on 12,209 images of MILK10k and HAM10000 and on blurred
copies of them, and checked by looking at what they remove; see decision 0011.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

ByteImage = npt.NDArray[np.uint8]
FloatImage = npt.NDArray[np.float32]

SIDE = 224
"""Sharpness is measured at this side, so that it does not depend on the size of the image."""
TILE, MARGIN = 16, 16
ROUNDING = 0.06
"""Energy, grey levels squared, that rounding and JPEG put into the finest detail of the smoothest picture."""
LEAST_SHARPNESS = {"dermoscopy": 0.48}
OTHER_LEAST_SHARPNESS = 0.75
"""Photographs in which less fine detail is left. Through the dermatoscope sharp skin is smoother."""
LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)
FAR_SIDE = 112
LEAST_DIAMETER = 0.1
"""A lesion narrower than this share of the frame's shorter side is far away."""
CLOSE_BY_NATURE = frozenset({"dermoscopy"})
"""The instrument touches the skin: a small lesion is small, not far away."""

BLURRED, FAR_AWAY = "blurred", "far away"


def concern(picture: ByteImage, modality: str, *, overview: bool) -> str | None:
    """Why a model should not be judged by this picture: "blurred", "far away", or `None`.

    An `overview` is far away by definition. Under 224 pixels a side nothing can be said about sharpness.
    """
    if overview:
        return FAR_AWAY
    least = LEAST_SHARPNESS.get(modality, OTHER_LEAST_SHARPNESS)
    if min(picture.shape[:2]) >= SIDE and sharpness(picture) < least:
        return BLURRED
    if modality in CLOSE_BY_NATURE:
        return None
    diameter = spot_diameter(picture)
    return FAR_AWAY if diameter is not None and diameter < LEAST_DIAMETER else None


def sharpness(picture: ByteImage) -> float:
    """Energy of detail at some 2 pixels of 224 over that at some 4, where there is most of the latter.

    The mean over the quarter of all tiles that holds most structure, less the noise, which is what the
    poorest twentieth of the tiles holds. Contrast cancels out. About 1 to 4 for a sharp photograph; one
    blurred by a Gaussian of 1 pixel in 224 has some .5, of 2 pixels .2.
    """
    luminance = Image.fromarray(picture.astype(np.float32) @ LUMINANCE)
    grey = np.asarray(_square(luminance, SIDE), np.float32)
    smooth = [grey, *(np.asarray(ndimage.gaussian_filter(grey, s), np.float32) for s in (1, 2))]
    energy = np.stack([_tiles((smooth[k] - smooth[k + 1]) ** 2) for k in (0, 1)])
    energy = np.maximum(energy - np.quantile(energy, 0.05, axis=1, keepdims=True), 0)
    structured = np.argsort(-energy[1], kind="stable")[: energy.shape[1] // 4]
    fine, coarse = energy[:, structured].mean(axis=1)
    return float(max(fine - ROUNDING, 0) / (coarse + ROUNDING))


def spot_diameter(picture: ByteImage) -> float | None:
    """Diameter of the only thing on plain skin, as a share of the side; `None` where there is more to see.

    What differs from the median colour by more than half of Otsu's threshold, and somewhere by more than
    all of it, is a thing. The diameter is that of a disc as large as all things together, and one of
    them must reach the inner half of the picture.
    """
    square = np.asarray(_square(Image.fromarray(picture), FAR_SIDE), np.float32)
    colour = np.log1p(ndimage.gaussian_filter(square, (1, 1, 0)))
    off = np.sqrt(((colour - np.median(colour, axis=(0, 1))) ** 2).sum(axis=2))
    limit = _otsu(off)
    things, number = ndimage.label(off > limit / 2)
    strong = np.setdiff1d(np.unique(things[off > limit]), [0])
    middle = np.hypot(*(np.indices(off.shape) - (FAR_SIDE - 1) / 2)) < FAR_SIDE / 4
    if not number or not np.isin(strong, things[middle]).any():
        return None
    share = float(np.isin(things, strong).mean())
    return 2 * math.sqrt(share / math.pi)


def _square(image: Image.Image, side: int) -> Image.Image:
    """The central square, scaled to `side`."""
    width, height = image.size
    short = min(width, height)
    left, top = (width - short) / 2, (height - short) / 2
    box = (left, top, left + short, top + short)
    return image.resize((side, side), Image.Resampling.LANCZOS, box=box)


def _tiles(energy: FloatImage) -> FloatImage:
    inner = energy[MARGIN:-MARGIN, MARGIN:-MARGIN]
    n = len(inner) // TILE
    return np.asarray(inner.reshape(n, TILE, n, TILE).mean(axis=(1, 3)).ravel(), np.float32)


def _otsu(values: FloatImage) -> float:
    """The threshold between two groups of values that leaves least variance within them (Otsu 1979)."""
    counts, edges = np.histogram(values, 64)
    centres = (edges[1:] + edges[:-1]) / 2
    below, total = np.cumsum(counts), counts.sum()
    moment = np.cumsum(counts * centres)
    between = (moment[-1] * below / total - moment) ** 2 / np.maximum(below * (total - below), 1)
    return float(centres[between[:-1].argmax()])
