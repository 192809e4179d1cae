"""What do the reference arm's nets see? The last layer's features, and the pixels that move an answer.

Both are computed from one fold's net on images of that fold, which it had not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from core.cohort import LabelledImage
from core.tree import FloatArray, TreeSums
from dxtree.figures import Saliency, saliency_of
from modalities.cnn.preprocess import ByteImage
from modalities.training.answering import features
from modalities.training.data import read_all
from modalities.training.run import Run

FEATURES = 1500
"""Images whose features are drawn at most."""
CLASSES, EXAMPLES = 6, 2
"""Classes with examples of saliency, the most frequent ones, and examples of each."""


def last_features(run: Run, fold: int, seed: int = 0) -> tuple[FloatArray, list[str]]:
    """Features of the last layer, images x channels, and the label of each image."""
    net, read, pixels = _opened(run, fold, _drawn(run.evidence_images(f"fold-{fold}"), FEATURES, seed))
    return features(net, pixels, run.test_preprocessing()), [image.label for image in read]


def examples(run: Run, fold: int, level: int = 2, seed: int = 0) -> list[tuple[str, list[Saliency]]]:
    """Saliency maps of the true node at a level, for images of the most frequent nodes."""
    taxonomy = run.partition.taxonomy
    sums = TreeSums(run.partition)
    images = run.evidence_images(f"fold-{fold}")
    owners = [taxonomy.ancestor_at(image.label, level) for image in images]
    counted = Counter(o for o in owners if o is not None and sums.readable(o))
    most = [node for node, _ in counted.most_common(CLASSES)]
    found = []
    for node in sorted(most, key=taxonomy.position):
        own = [image for image, owner in zip(images, owners, strict=True) if owner == node]
        chosen = _drawn(own, EXAMPLES, seed)
        net, _, pixels = _opened(run, fold, chosen)
        maps = [saliency_of(net, run.test_preprocessing(), p, run.partition, node) for p in pixels]
        found.append((taxonomy.label(node), maps))
    return found


def _drawn(images: Sequence[LabelledImage], most: int, seed: int) -> list[LabelledImage]:
    chosen = np.random.default_rng(seed).permutation(len(images))[:most]
    return [images[k] for k in sorted(chosen.tolist())]


def _opened(
    run: Run, fold: int, images: Sequence[LabelledImage]
) -> tuple[nn.Module, list[LabelledImage], list[ByteImage]]:
    net = run.finished(f"fold-{fold}")
    assert net is not None  # noqa: S101 - the caller has its answers
    pixels, read, _ = read_all(images, run.test_preprocessing().resize)
    return net.to(memory_format=torch.channels_last), read, pixels
