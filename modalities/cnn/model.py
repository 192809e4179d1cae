"""A trained net as a modality's model: bundle on disk, images in, probabilities of training classes out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np

from core.case import ImageInput
from core.errors import ContractError
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.cnn.belonging import check_belongs, read_prior, read_temperature
from modalities.cnn.preprocess import ByteImage, Preprocessing, planes_of
from modalities.engines import Engine, finite, load_engine, maker_of, net_maker, source_file
from modalities.gate import SafetyGate
from modalities.images import start_decoder
from plugins.specs import ModelRequest


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
    engine: Engine
    provenance: Mapping[str, str]
    make_engine: Callable[[int], Engine]
    """Builds the same engine for so many calls at a time."""
    safety: SafetyGate | None = None
    """Checks with fitted thresholds; `None` where the training images were too few to fit any."""
    make_net: Callable[[], Any] | None = None
    """Gives the same net in torch (the extra `train`), built when first asked for; `None`: it has none."""
    _others: dict[int, Engine] = field(default_factory=dict, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def engine_for(self, calls: int) -> Engine:
        """The engine for so many threads that call it at the same time; the same answers, to the bit.

        Built when first asked for and kept; `engine` itself serves one call at a time best.
        """
        if calls == 1:
            return self.engine
        with self._lock:
            if calls not in self._others:
                self._others[calls] = self.make_engine(calls)
            return self._others[calls]

    def side_by_side(self, calls: int) -> CnnModel:
        """The same model for so many threads that call `predict` at the same time, about one core each."""
        return replace(self, engine=self.engine_for(calls))

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result an image, in order. Raises `InputError` for an image that cannot be read."""
        return [self._one(image) for image in images]

    def _one(self, image: ImageInput) -> ImageResult:
        found = self.preprocessing.read(image.source)
        planes = planes_of(found.padded)
        # Before the engine, whose threads go on spinning for a while and would slow this down.
        checks = self.safety.checks(planes) if self.safety else ()
        return ImageResult(self.probabilities(planes), found.notes, checks=checks)

    def probabilities(self, square: ByteImage) -> LeafProbabilities:
        """Calibrated probabilities of a preprocessed uint8 size x size x 3 image."""
        logits = finite(self.engine(self.preprocessing.normalise(square)[None]))
        if logits.shape != (1, len(self.classes)):
            raise ContractError(f"the net answered with shape {logits.shape}, not (1, {len(self.classes)})")
        return LeafProbabilities.from_logits(self.classes, logits[0].astype(np.float64) / self.temperature)


def load_model(request: ModelRequest, modality: str) -> CnnModel:
    """Builds the engine of a checked bundle; the image decoder starts meanwhile.

    Raises `ContractError` without a bundle, or where modality, classes, taxonomy or partition differ from
    the pipeline's, and what `load_engine` raises.
    """
    partition, bundle = request.partition, request.bundle
    if bundle is None:
        raise ContractError(f"this model set has no bundle for {modality}; train one with: dxtree train")
    check_belongs(bundle, partition, modality, source_file(bundle))
    names = bundle.require("classes", list)
    checks = bundle.manifest.get("checks")
    start_decoder()
    engine = load_engine(bundle, request.engine)
    return CnnModel(
        modality=modality,
        classes=tuple(names),
        prior=read_prior(bundle, tuple(names)),
        preprocessing=Preprocessing.from_dict(bundle.require("preprocessing", dict), request.preprocessors),
        temperature=read_temperature(bundle),
        engine=engine,
        provenance={
            "model": str(bundle.manifest.get("name", modality)),
            "architecture": bundle.require("architecture", str),
            "engine": engine.name,
            "digest": bundle.digest,
            "licence": str(bundle.manifest.get("licence", "not stated")),
        },
        make_engine=maker_of(bundle, engine),
        safety=None if checks is None else SafetyGate.from_dict(checks),
        make_net=net_maker(bundle),
    )
