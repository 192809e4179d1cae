"""Which image comes next in training, and how is it varied?

Every draw depends on seed, epoch and place alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from core.cohort import LabelledImage
from core.errors import DxtreeError, TrainingError
from modalities.cnn.preprocess import ByteImage, FloatImage, Preprocessing
from modalities.images import decode_here
from modalities.training.config import TrainingConfig

IntArray = npt.NDArray[np.int64]
MAX_BAD_FRACTION = 0.01


@dataclass(frozen=True)
class Batch:
    """`pixels` float32 N x 3 x size x size, `targets` int64 N."""

    pixels: FloatImage
    targets: IntArray


def read_all(
    images: Sequence[LabelledImage], side: int
) -> tuple[list[ByteImage], list[LabelledImage], list[str]]:
    """Decodes every image once, its short side scaled down to `side`, and keeps it in memory.

    Returns the pixels, the images they belong to, and the ids of images that cannot be read. A run stops
    with `TrainingError` where more than 1 % cannot.
    """

    def read(image: LabelledImage) -> ByteImage | None:
        try:
            return _shrunk(decode_here(image.path, target_side=2 * side).pixels, side)
        except DxtreeError:
            return None

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(read, images))
    bad = [i.image for i, pixels in zip(images, found, strict=True) if pixels is None]
    if len(bad) > MAX_BAD_FRACTION * len(images):
        raise TrainingError(
            f"{len(bad)} of {len(images)} images cannot be read, {bad[0]} for one; at most 1 % may be skipped"
        )
    good = [(p, i) for p, i in zip(found, images, strict=True) if p is not None]
    return [p for p, _ in good], [i for _, i in good], bad


def _shrunk(pixels: ByteImage, side: int) -> ByteImage:
    height, width = pixels.shape[:2]
    if min(height, width) <= side:
        return pixels
    scale = side / min(height, width)
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


def draw_weights(groups: Sequence[str], power: float) -> npt.NDArray[np.float64]:
    """Probability of each image to be drawn: a group of n images gets n ** power, shared equally."""
    _, inverse, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weight = counts.astype(np.float64) ** (power - 1)
    drawn = weight[inverse]
    return np.asarray(drawn / drawn.sum(), np.float64)


def epoch_order(weights: npt.NDArray[np.float64], seed: int, epoch: int) -> IntArray:
    """Indices of an epoch, as many as there are images.

    By systematic sampling: an image of weight w comes floor(w n) or ceil(w n) times.
    """
    rng = np.random.default_rng((seed, epoch))
    n = len(weights)
    points = (np.arange(n) + rng.random()) / n
    shuffled = rng.permutation(n)
    drawn = shuffled[np.minimum(np.searchsorted(np.cumsum(weights[shuffled]), points), n - 1)]
    return np.asarray(rng.permutation(drawn), np.int64)


def make_batch(
    pixels: Sequence[ByteImage],
    targets: IntArray,
    chosen: IntArray,
    place: int,
    epoch: int,
    config: TrainingConfig,
    preprocessing: Preprocessing,
) -> Batch:
    """Augmented images `chosen`; `place` is the position of the first within the epoch."""
    made = [
        preprocessing.normalise(
            augment(pixels[k], np.random.default_rng((config.seed, epoch, place + i)), config)
        )
        for i, k in enumerate(chosen.tolist())
    ]
    return Batch(np.stack(made), targets[chosen])


def augment(pixels: ByteImage, rng: np.random.Generator, config: TrainingConfig) -> ByteImage:
    """A random crop (area and aspect), one of the eight turns and flips of a square, light and colour."""
    height, width = pixels.shape[:2]
    left, top, w, h = random_crop(height, width, rng, config.min_crop_area)
    image = Image.fromarray(pixels).resize(
        (config.size, config.size), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h)
    )
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        image = enhance(image).enhance(float(rng.uniform(0.8, 1.2)))
    square = np.rot90(np.asarray(image), int(rng.integers(4)))
    return square[:, ::-1] if rng.random() < 0.5 else square


def random_crop(
    height: int, width: int, rng: np.random.Generator, min_area: float
) -> tuple[float, float, float, float]:
    """Left, top, width and height of a crop of min_area to 1 of the image and aspect 3/4 to 4/3."""
    for _ in range(10):
        area = height * width * rng.uniform(min_area, 1)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            return float(rng.uniform(0, width - w)), float(rng.uniform(0, height - h)), w, h
    side = min(height, width)
    return (width - side) / 2, (height - side) / 2, float(side), float(side)
