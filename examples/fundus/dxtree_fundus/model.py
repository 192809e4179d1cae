"""Photograph in, probabilities out: the numbers of `signs` and a linear model on them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.case import ImageInput
from core.errors import ContractError
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from dxtree_fundus.field import flatten
from dxtree_fundus.signs import Doubles, describe
from modalities.images import decode
from plugins import ModelRequest

MODALITY = "fundus"
WEIGHTS = "linear.json"
NO_FIELD = "no round field of a fundus camera was found"


class FundusModel:
    """Satisfies `core.ModalityModel`. A picture without a round field gets a concern: it is not judged."""

    modality = MODALITY

    def __init__(self, classes: tuple[str, ...], prior: LeafProbabilities, weight: Doubles, bias: Doubles,
                 provenance: dict[str, str]) -> None:  # fmt: skip
        self.classes, self.prior, self.provenance = classes, prior, provenance
        self.weight, self.bias = weight, bias

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result an image, in order. Raises `InputError` for one that cannot be read."""
        return [self._one(image) for image in images]

    def _one(self, image: ImageInput) -> ImageResult:
        decoded = decode(image.source, target_side=1024)
        logits, found = self.logits(decoded.pixels)
        answer = LeafProbabilities.from_logits(self.classes, logits)
        return ImageResult(answer, tuple(decoded.notes), () if found else (NO_FIELD,))

    def logits(self, pixels: npt.NDArray[np.uint8]) -> tuple[Doubles, bool]:
        """Logits of the classes, and whether a field was found."""
        flat = flatten(pixels)
        return self.weight @ describe(flat) + self.bias, flat.field.found


def load(request: ModelRequest) -> FundusModel:
    """The model of a checked bundle. Raises `ContractError` without one, or where it does not belong here."""
    partition, bundle = request.partition, request.bundle
    if bundle is None:
        raise ContractError(
            f"this model set has no bundle for {MODALITY}; take --models fundus-demonstration"
        )
    wanted = {"modality": MODALITY, "partition": partition.fingerprint, "classes": list(partition.ids)}
    for key, value in wanted.items():
        if bundle.manifest.get(key) != value:
            raise ContractError(f"the bundle of {MODALITY} has another {key} than the pipeline")
    try:
        raw = json.loads(bundle.files[WEIGHTS])
        weight, bias = np.array(raw["weight"], np.float64), np.array(raw["bias"], np.float64)
        prior = LeafProbabilities(partition.ids, np.array([raw["prior"][c] for c in partition.ids]))
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"the bundle of {MODALITY} holds no {WEIGHTS} that can be read") from error
    if weight.ndim != 2 or bias.shape != (len(partition.ids),) or len(weight) != len(bias):
        raise ContractError(f"{WEIGHTS} of {MODALITY} has other shapes than the training classes ask for")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        raise ContractError(f"{WEIGHTS} of {MODALITY} holds a number that is not finite")
    provenance = {
        "model": str(bundle.manifest.get("name", MODALITY)),
        "digest": bundle.digest,
        "licence": str(bundle.manifest.get("licence", "not stated")),
    }
    return FundusModel(partition.ids, prior, weight, bias, provenance)
