"""Which image comes next in training, and how is it varied?

Every draw depends on seed, epoch and place alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.cohort import LabelledImage
from core.errors import DxtreeError, TrainingError
from modalities.cnn.preprocess import ByteImage, FloatImage, Preprocessing, shrunk
from modalities.images import decode_here
from modalities.training.augmentation import augment
from modalities.training.config import TrainingConfig

IntArray = npt.NDArray[np.int64]
MAX_BAD_FRACTION = 0.01


@dataclass(frozen=True)
class Batch:
    """`pixels` float32 N x 3 x size x size, `targets` int64 N."""

    pixels: FloatImage
    targets: IntArray


def read_all(
    images: Sequence[LabelledImage], side: int, test: Preprocessing | None = None
) -> tuple[list[ByteImage], list[LabelledImage], list[str]]:
    """Decodes every image once, its short side scaled down to `side`, and keeps it in memory.

    Where inference (`test`) has steps, it is `test.resize` instead, and what is kept went through them.
    Returns the pixels, the images they belong to, and the ids of images that cannot be read. A run stops with
    `TrainingError` where more than 1 % cannot.
    """
    if test is not None and test.steps:
        side = test.resize

    def read(image: LabelledImage) -> ByteImage | None:
        try:
            pixels = shrunk(decode_here(image.path, target_side=2 * side).pixels, side)
        except DxtreeError:
            return None
        return pixels if test is None else test.prepare(pixels)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(read, images))
    bad = [i.image for i, pixels in zip(images, found, strict=True) if pixels is None]
    if len(bad) > MAX_BAD_FRACTION * len(images):
        raise TrainingError(
            f"{len(bad)} of {len(images)} images cannot be read, {bad[0]} for one; at most 1 % may be skipped"
        )
    good = [(p, i) for p, i in zip(found, images, strict=True) if p is not None]
    return [p for p, _ in good], [i for _, i in good], bad


def draw_weights(groups: Sequence[str], power: float) -> npt.NDArray[np.float64]:
    """Probability of each image to be drawn: a group of n images gets n ** power, shared equally."""
    _, inverse, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    weight = counts.astype(np.float64) ** (power - 1)
    drawn = weight[inverse]
    return np.asarray(drawn / drawn.sum(), np.float64)


def prior_of(
    targets: IntArray,
    weights: npt.NDArray[np.float64],
    classes: int,
    coarse: npt.NDArray[np.float64] | None = None,
) -> list[float]:
    """Share of each class in what the net is shown: the prior that its probabilities carry.

    Targets from `classes` on are coarse labels, whose members stand in `coarse`, labels x classes; each one's
    share goes to its members in proportion to what these have of their own, or evenly where they have none.
    """
    shares = np.bincount(targets, weights, minlength=classes)
    own, found = shares[:classes], shares[:classes].copy()
    for share, members in zip(shares[classes:], coarse if coarse is not None else (), strict=False):
        inside = own * members if (own * members).sum() > 0 else members
        found += share * inside / inside.sum()
    return [float(share) for share in found]


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
    places: IntArray,
    epoch: int,
    config: TrainingConfig,
    preprocessing: Preprocessing,
) -> Batch:
    """Augmented images `chosen`; `places` are their positions within the epoch."""
    made = np.empty((len(chosen), 3, config.size, config.size), np.float32)
    for i, (k, place) in enumerate(zip(chosen.tolist(), places.tolist(), strict=True)):
        rng = np.random.default_rng((config.seed, epoch, place))
        made[i] = preprocessing.normalise(augment(pixels[k], rng, config))
    return Batch(made, targets[chosen])
