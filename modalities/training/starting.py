"""With which weights does a net begin?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from core.cohort import LabelledImage
from core.errors import LeakageError, TrainingError
from core.split import TRAINING, VALIDATION, Split
from modalities.cnn.preprocess import ByteImage, default_preprocessing
from modalities.cnn.torch_net import build, prepare_input, start
from modalities.training.config import TrainingConfig
from modalities.training.data import make_batch
from modalities.training.machine import device
from modalities.training.unfolding import IMAGES, unfold

FINAL = "final"
WEIGHTS = "weights.safetensors"


def check_target(target: str, folds: int) -> None:
    """Raises `TrainingError` for a target that a split into so many folds does not have; "all" is one."""
    known = (FINAL, *(f"fold-{k}" for k in range(folds)))
    if target not in ("all", *known):
        raise TrainingError(f"target {target!r} is none of {', '.join(known)}")


def target_of(split: Split, image: LabelledImage) -> str:
    """The one target whose net never sees an image: final for the validation part, else its fold's.

    Raises `CohortError` where the split does not hold the image's lesion.
    """
    return FINAL if split.part_of(image) == VALIDATION else f"fold-{split.fold[image.lesion]}"


def weights_of(
    target: str, weights: str | Path | None, split: Split | None, held: Iterable[LabelledImage]
) -> str | Path | None:
    """Where a target's net begins: what is given or, for the folder of a run, that run's same target.

    `split` is that run's and `held` are the images that the target gives evidence for. Raises `LeakageError`
    where the other run trained on one of them, `CohortError` where its split does not hold one,
    `TrainingError` where its target is not finished.
    """
    if split is None or weights is None:
        return weights
    trained = (i for i in held if split.part_of(i) == TRAINING and target_of(split, i) != target)
    seen = sorted({i.lesion for i in trained})
    if seen:
        raise LeakageError(
            f"{len(seen)} lesions that {target} gives evidence for trained the same target of "
            f"{Path(weights).name}, {seen[0]} for one; give this run that one's split (--split)"
        )
    found = Path(weights) / target / WEIGHTS
    if not found.is_file():
        raise TrainingError(f"{target} of {Path(weights).name} is not trained yet")
    return found


def starting_net(
    config: TrainingConfig, classes: int, weights: str | Path | None, pixels: Sequence[ByteImage]
) -> tuple[nn.Module, dict[str, Any]]:
    """The net before its first step, and what the log says of it; `pixels` serve to un-fold batch norm."""
    torch.manual_seed(config.seed)
    net = build(config.architecture, classes)
    prepare_input(net)
    told: dict[str, Any] = {}
    if weights is not None:
        told["random"] = start(net, config.architecture, weights, partial=config.partial_weights)
    net.to(device(), memory_format=torch.channels_last)  # type: ignore[call-overload]
    if config.unfold_batch_norm:
        told["unfolded"] = unfold(net, _sample(pixels, config))
    return net, told


def _sample(pixels: Sequence[ByteImage], config: TrainingConfig) -> Iterator[torch.Tensor]:
    """`unfolding.IMAGES` training images, spread over all of them, augmented as in training."""
    preprocessing = default_preprocessing(config.architecture, config.size)
    if not pixels:
        return
    chosen = np.unique(np.linspace(0, len(pixels) - 1, IMAGES).astype(np.int64))
    for k in range(0, len(chosen), 32):
        part = np.asarray(chosen[k : k + 32], np.int64)
        batch = make_batch(pixels, np.zeros(len(pixels), np.int64), part, part, 0, config, preprocessing)
        yield torch.from_numpy(batch.pixels).to(device(), memory_format=torch.channels_last)
