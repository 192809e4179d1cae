"""Which modality is tried, and with what? Its spec, its model and answers, each had once and watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

from core.case import Case, ImageInput
from core.errors import DxtreeError
from core.manifest import Bundle
from core.partition import Partition
from core.pipeline import Pipeline
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult, ModalityModel
from plugins.assembly import FALLBACK, assemble, modality_models
from plugins.conformance.finding import Unanswerable
from plugins.conformance.process_state import watched
from plugins.conformance.samples import sample_images, samples_of
from plugins.model_set import ModelSet
from plugins.registry import Registry
from plugins.specs import ModalitySpec


class ModalityUnderTest:
    """One modality of a registry and the model set that it is tried with."""

    def __init__(self, name: str, registry: Registry, models: ModelSet) -> None:
        self.name, self.registry, self.models = name, registry, models
        self.changed: set[str] = set()
        """What calls into the plugin changed of the process."""

    @property
    def partition(self) -> Partition:
        """The training classes of the model set."""
        return self.models.partition

    @property
    def spec(self) -> ModalitySpec:
        """What the plugin offers."""
        return self.registry.modalities.get(self.name)

    @property
    def offered(self) -> bool:
        """Whether a pipeline of the model set has this modality."""
        return self.name in self.models.modalities or not self.spec.needs_bundle

    @cached_property
    def bundle(self) -> Bundle | None:
        """The model set's bundle for it, where it has one."""
        return self.models.modality_bundle(self.name)

    def load(self) -> ModalityModel:
        """The model as a pipeline loads it, anew."""
        if not self.offered:
            raise Unanswerable("the model set has no bundle for it")
        with watched(self.changed):
            return modality_models(self.registry, self.models)[self.name]()

    @cached_property
    def model(self) -> ModalityModel:
        """The model. Raises `Unanswerable` where it cannot be had, which another promise reports."""
        try:
            return self.load()
        except Unanswerable:
            raise
        except BaseException as error:
            raise Unanswerable("its model does not load") from error

    @cached_property
    def images(self) -> list[ImageInput]:
        """What it is shown. Raises `Unanswerable` where the plugin gives no files."""
        try:
            return samples_of(self.spec)
        except Exception as error:
            raise Unanswerable("its samples cannot be had") from error

    def predict(self, images: Sequence[ImageInput], model: ModalityModel | None = None) -> list[ImageResult]:
        """What the model answers to a list of its own, the process watched."""
        asked = model or self.model
        with watched(self.changed):
            return list(asked.predict(list(images)))

    @cached_property
    def answer(self) -> list[LeafProbabilities]:
        """What it says of its samples. Raises `Unanswerable` where it says nothing that could be compared."""
        try:
            results = self.predict(self.images)
        except Unanswerable:
            raise
        except BaseException as error:
            raise Unanswerable("it does not answer") from error
        if [type(r) for r in results] != [ImageResult] * len(self.images):
            raise Unanswerable("it does not give one result an image")
        return [r.probabilities for r in results]

    def beside(self) -> list[ImageInput]:
        """An image of every other modality of the set. Raises `Unanswerable` where there is none."""
        others = [n for n in sorted(self.models.modalities) if n != self.name]
        specs = [self.registry.modalities.specs[n] for n in others if n in self.registry.modalities.specs]
        if not specs:
            raise Unanswerable("the model set has no other modality")
        return [samples_of(spec)[0] if spec.samples else sample_images(spec.name, 1)[0] for spec in specs]

    def pipeline(self, *, without: bool = False, broken: bool = False) -> Pipeline:
        """A pipeline of all modalities, or without this one, or with this one's model at fault."""
        if not self.offered:
            raise Unanswerable("the model set has no bundle for it")
        loaders = modality_models(self.registry, self.models)
        if without:
            del loaders[self.name]
        elif broken:
            loaders[self.name] = _fault
        else:
            loaders[self.name] = lambda: self.model
        for fuser in dict.fromkeys((self.models.default_fuser, FALLBACK)):
            try:
                whole = assemble(self.registry, self.models, fuser=fuser)
            except DxtreeError:
                continue
            return replace(whole, models=loaders, observers=())
        raise Unanswerable("the model set has no fuser that loads")

    def case(self, images: Sequence[ImageInput]) -> Case:
        """A case of these images."""
        return Case(images=tuple(images))


def _fault() -> ModalityModel:
    raise RuntimeError("a fault that the conformance kit planted")
