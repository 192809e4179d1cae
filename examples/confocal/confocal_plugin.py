"""A modality in one file: a frame of a confocal microscope, with a toy in place of a model.

    dxtree plugins check examples/confocal/confocal_plugin.py
    dxtree diagnose --plugin examples/confocal/confocal_plugin.py --image confocal_frame=FILE

The toy projects a few statistics of a picture onto the training classes with fixed random numbers. It shows
how a plugin is written and knows nothing of skin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.case import ImageInput
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.images import decode
from plugins import ModalitySpec, hookimpl

DXTREE_API_VERSION = 1
NAME = "confocal_frame"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class Toy:
    """Satisfies `core.ModalityModel`: the same bytes give the same bits, whatever else is in the call."""

    modality = NAME

    def __init__(self, partition: Partition) -> None:
        self.classes = partition.ids
        self.prior = LeafProbabilities.from_weights(self.classes, [c.images for c in partition.classes])
        self.provenance = {"model": "fixed random projection", "version": "1"}
        self._projection = np.random.default_rng(2017).normal(size=(len(self.classes), len(QUANTILES)))

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result an image, in order."""
        return [self._one(image) for image in images]

    def _one(self, image: ImageInput) -> ImageResult:
        decoded = decode(image.source, target_side=256)
        statistics = np.quantile(decoded.pixels / 255, QUANTILES)
        logits = np.log(self.prior.values) + self._projection @ statistics
        return ImageResult(LeafProbabilities.from_logits(self.classes, logits), decoded.notes)


@hookimpl
def dxtree_modalities() -> list[ModalitySpec]:
    """Offers `confocal_frame`; a real plugin would read its weights when it is loaded."""
    title = "One frame of a confocal microscope"
    about = {
        "licence": "Apache-2.0",
        "card": "A toy with random numbers, trained on nothing. For no patient.",
    }
    return [ModalitySpec(NAME, title, load=lambda request: Toy(request.partition), **about)]
