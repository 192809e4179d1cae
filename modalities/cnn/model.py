"""A trained net as a modality's model: bundle on disk, images in, probabilities of training classes out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.case import ImageInput
from core.errors import ContractError
from core.manifest import Bundle
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.cnn.belonging import check_belongs, read_prior, read_temperature
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
    check_belongs(bundle, partition, modality, GRAPH)
    names = bundle.require("classes", list)
    gate = bundle.manifest.get("gate")
    return CnnModel(
        modality=modality,
        classes=tuple(names),
        prior=read_prior(bundle, tuple(names)),
        preprocessing=Preprocessing.from_dict(bundle.require("preprocessing", dict)),
        temperature=read_temperature(bundle),
        gate=None if gate is None else Gate.from_dict(gate),
        engine=_engine(bundle, check_engine(request.engine), len(names)),
        provenance={
            "model": str(bundle.manifest.get("name", modality)),
            "architecture": bundle.require("architecture", str),
            "digest": bundle.digest,
            "licence": str(bundle.manifest.get("licence", "not stated")),
        },
    )


def _engine(bundle: Bundle, engine: EngineName, classes: int) -> Engine:
    graph = bundle.files[GRAPH]
    if engine == "torch":
        shared = dict(bundle.manifest.get("shared_parameters", {}))
        return TorchEngine(graph, bundle.require("architecture", str), classes, shared)
    return OnnxRuntimeEngine(graph)
