"""A trained net as a modality's model: bundle on disk, images in, probabilities of training classes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from core.case import ImageInput
from core.errors import ContractError, NonFiniteOutput
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.cnn.engines import Engine, EngineName, OnnxRuntimeEngine, TorchEngine, check_engine, finite
from modalities.cnn.gate import Gate
from modalities.cnn.preprocess import ByteImage, Preprocessing
from modalities.images import decode
from plugins.specs import ModelRequest

GRAPH = "model.onnx"


@dataclass(frozen=True)
class CnnModel:
    """One modality's net with everything that must travel with it. Satisfies `core.ModalityModel`.

    Images go through the net one by one, so that an answer does not depend on its neighbours by a bit.
    """

    modality: str
    classes: tuple[str, ...]
    prior: LeafProbabilities
    preprocessing: Preprocessing
    temperature: float
    gate: Gate | None
    engine: Engine
    provenance: Mapping[str, str]

    @cached_property
    def _decode_side(self) -> int:
        return 2 * self.preprocessing.resize

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result an image, in order. Raises `InputError` for an image that cannot be read."""
        return [self._one(image) for image in images]

    def _one(self, image: ImageInput) -> ImageResult:
        decoded = decode(image.source, target_side=self._decode_side)
        square = self.preprocessing.square(decoded.pixels)
        concerns = self.gate.concerns(square) if self.gate else ()
        return ImageResult(self.probabilities(square), tuple(decoded.notes), concerns)

    def probabilities(self, square: ByteImage) -> LeafProbabilities:
        """Calibrated probabilities of a preprocessed uint8 size x size x 3 image."""
        logits = finite(self.engine(self.preprocessing.normalise(square)[None]))
        if logits.shape != (1, len(self.classes)):
            raise ContractError(f"the net answered with shape {logits.shape}, not (1, {len(self.classes)})")
        return LeafProbabilities.from_logits(self.classes, logits[0].astype(np.float64) / self.temperature)


def load_model(request: ModelRequest, modality: str) -> CnnModel:
    """Builds the engine of a checked bundle.

    Raises `ContractError` without a bundle, or where modality, classes, taxonomy or partition differ from
    the pipeline's.
    """
    partition, bundle = request.partition, request.bundle
    if bundle is None:
        raise ContractError(f"this model set has no bundle for {modality}; train one with: dxtree train")
    _check(bundle, partition, modality)
    names = bundle.require("classes", list)
    temperature = bundle.manifest.get("temperature")
    if not isinstance(temperature, int | float) or not 0.01 <= temperature <= 100:
        raise ContractError("the bundle's temperature must be a number from .01 to 100")
    gate = bundle.manifest.get("gate")
    return CnnModel(
        modality=modality,
        classes=tuple(names),
        prior=_prior(bundle, tuple(names)),
        preprocessing=Preprocessing.from_dict(bundle.require("preprocessing", dict)),
        temperature=float(temperature),
        gate=None if gate is None else Gate.from_dict(gate),
        engine=_engine(bundle, check_engine(request.engine), len(names)),
        provenance={
            "model": str(bundle.manifest.get("name", modality)),
            "architecture": bundle.require("architecture", str),
            "digest": bundle.digest,
            "licence": str(bundle.manifest.get("licence", "not stated")),
        },
    )


def _prior(bundle: Bundle, classes: tuple[str, ...]) -> LeafProbabilities:
    prior = bundle.require("prior", dict)
    try:
        return LeafProbabilities(classes, np.array([prior[c] for c in classes], np.float64))
    except (KeyError, TypeError, ValueError, NonFiniteOutput) as error:
        raise ContractError("the bundle's prior must hold a probability for each training class") from error


def _check(bundle: Bundle, partition: Partition, modality: str) -> None:
    wanted: dict[str, Any] = {
        "kind": "modality",
        "modality": modality,
        "taxonomy": partition.taxonomy.fingerprint,
        "partition": partition.fingerprint,
        "classes": list(partition.ids),
    }
    for key, value in wanted.items():
        if bundle.manifest.get(key) != value:
            raise ContractError(
                f"the bundle's {key} differs from the pipeline's; they do not belong together"
            )
    if GRAPH not in bundle.files:
        raise ContractError(f"the bundle has no {GRAPH}")


def _engine(bundle: Bundle, engine: EngineName, classes: int) -> Engine:
    graph = bundle.files[GRAPH]
    if engine == "torch":
        shared = dict(bundle.manifest.get("shared_parameters", {}))
        return TorchEngine(graph, bundle.require("architecture", str), classes, shared)
    return OnnxRuntimeEngine(graph)
