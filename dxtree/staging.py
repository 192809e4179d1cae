"""What happens to one picture on its way, stage by stage? What `dxtree stages` draws and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image

from core.errors import InputError
from modalities.cnn.preprocess import shrunk
from modalities.images import decode
from modalities.stages import Mask, Pixels, measured, outlined, stepped
from plugins.specs import FeatureSpec, PreprocessorSpec, SegmenterSpec

GIVEN = "given"
HALF = 128
"""Grey level from which a pixel of a mask's file lies inside the lesion."""
MANY_GREYS = 0.02
"""Share of pixels that may be neither black nor white in a mask: what scaling leaves at its outline."""


@dataclass(frozen=True)
class Staged:
    """A picture at every stage, its short side at most what was asked for.

    `pictures`: as read, then after each step, by name. `mask_from`: the segmenter's name, or "given".
    `features` is `None` where no lesion was found. `scale`: pixels here over pixels in the file.
    """

    pictures: tuple[tuple[str, Pixels], ...]
    steps: tuple[PreprocessorSpec, ...]
    mask: Mask
    mask_from: str
    features: Mapping[str, float | None] | None
    scale: float
    notes: tuple[str, ...]

    @property
    def changed(self) -> tuple[float, ...]:
        """Share of pixels that each step changed."""
        pairs = pairwise(pixels for _, pixels in self.pictures)
        return tuple(float((one != other).any(axis=2).mean()) for one, other in pairs)


def stage(
    image: Path,
    steps: Sequence[PreprocessorSpec],
    segmenter: SegmenterSpec,
    features: Sequence[FeatureSpec],
    *,
    side: int,
    mask: Path | None = None,
    mm_per_pixel: float | None = None,
) -> Staged:
    """Reads, steps, outlines and measures what the steps leave; `mm_per_pixel` is that of the file.

    Raises `InputError` for a file that cannot be read and a mask of another size, and what
    `modalities.stages` raises.
    """
    found = decode(image)
    pixels = shrunk(found.pixels, side)
    scale = min(pixels.shape[:2]) / min(found.pixels.shape[:2])
    pictures = [("read", pixels)]
    for step in steps:
        pictures.append((step.name, stepped(pictures[-1][1], [step])))
    last = pictures[-1][1]
    outline = outlined(last, segmenter) if mask is None else read_mask(mask, found.pixels, last)
    notes = list(found.notes)
    if not outline.any():
        notes.append("no lesion was found, so nothing is measured")
    scaled = None if mm_per_pixel is None else mm_per_pixel / scale
    numbers = measured(last, outline, features, scaled) if outline.any() else None
    source = segmenter.name if mask is None else GIVEN
    return Staged(tuple(pictures), tuple(steps), outline, source, numbers, scale, tuple(notes))


def read_mask(path: Path, original: Pixels, wanted: Pixels) -> Mask:
    """A mask's file, white inside the lesion, as bool of the wanted picture's size.

    Raises `InputError` where it is not of the original's size or no black and white picture.
    """
    grey = decode(path).pixels
    if grey.shape != original.shape:
        raise InputError(
            f"the mask has {grey.shape[1]} x {grey.shape[0]} pixels and the image {original.shape[1]} x "
            f"{original.shape[0]}; give one of the image's size, upright as the image is shown"
        )
    one = grey[..., 0]
    if (grey != one[..., None]).any() or ((one > 16) & (one < 239)).mean() > MANY_GREYS:
        raise InputError("the mask is no black and white picture; give one that is white inside the lesion")
    size = wanted.shape[1::-1]
    return np.asarray(np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BOX)) >= HALF)


def overlaid(pixels: Pixels, mask: Mask) -> Pixels:
    """The picture with the outline of the mask in yellow, and what lies outside darker."""
    from scipy.ndimage import binary_dilation, binary_erosion

    drawn = pixels.copy()
    drawn[~mask] = drawn[~mask] // 2
    drawn[binary_dilation(mask) & ~binary_erosion(mask)] = (255, 225, 0)
    return drawn
