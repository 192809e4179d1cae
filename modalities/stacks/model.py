"""A net over the views of a stack as a modality's model: bundle on disk, files in, probabilities out."""

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
from modalities.engines import KINDS, Engine, check_engine, finite, load_engine, maker_of, source_file
from modalities.stacks.recipe import StackRecipe
from modalities.stacks.stack import FloatArray
from plugins.specs import ModelRequest


@dataclass(frozen=True)
class StackModel:
    """One modality's net with everything that must travel with it. Satisfies `core.ModalityModel`.

    The net has an output for each class of a prior above 0, in order; every other class gets probability 0,
    which with its prior of 0 says nothing about it. Files go through the net one by one.
    """

    modality: str
    prior: LeafProbabilities
    temperature: float
    recipe: StackRecipe
    engine: Engine
    provenance: Mapping[str, str]
    make_engine: Callable[[int], Engine]
    """Builds the same engine for so many calls at a time."""
    _others: dict[int, Engine] = field(default_factory=dict, repr=False, compare=False)
    _lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Ids of the training classes, in order."""
        return self.prior.classes

    def side_by_side(self, calls: int) -> StackModel:
        """The same model for so many threads that call `predict` at the same time, about one core each."""
        if calls == 1:
            return self
        with self._lock:
            if calls not in self._others:
                self._others[calls] = self.make_engine(calls)
            return replace(self, engine=self._others[calls])

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result a file, in order. Raises `InputError` for a file that cannot be read."""
        return [self._one(image) for image in images]

    def _one(self, image: ImageInput) -> ImageResult:
        stack = self.recipe.read(image.source)
        return ImageResult(self.probabilities(views_of(self.recipe, stack)), stack.notes)

    def probabilities(self, views: FloatArray) -> LeafProbabilities:
        """Calibrated probabilities of float32 views x channels x side x side."""
        seen = np.flatnonzero(self.prior.values)
        logits = finite(self.engine(views))
        if logits.shape != (1, len(seen)):
            raise ContractError(f"the net answered with shape {logits.shape}, not (1, {len(seen)})")
        scaled = logits[0].astype(np.float64) / self.temperature
        weights = np.zeros(len(self.classes))
        weights[seen] = np.exp(scaled - scaled.max())
        return LeafProbabilities.from_weights(self.classes, weights)


def views_of(recipe: StackRecipe, stack: Any) -> FloatArray:
    """What the net sees of a stack. Raises `ContractError` where the recipe gives anything but its views."""
    views = recipe.views(stack)
    wanted = (recipe.channels, recipe.side, recipe.side)
    if views.dtype != np.float32 or views.ndim != 4 or views.shape[1:] != wanted:
        raise ContractError(f"views of {recipe.name} are float32, any number x {wanted}; not {views.shape}")
    if not 1 <= len(views) <= recipe.most_views or not np.isfinite(views).all():
        raise ContractError(f"{recipe.name} has 1 to {recipe.most_views} views of finite numbers")
    return np.ascontiguousarray(views)


def shape_of(recipe: StackRecipe) -> dict[str, Any]:
    """What a bundle keeps of the recipe that its net was fitted with."""
    return {
        "channels": recipe.channels,
        "side": recipe.side,
        "most_views": recipe.most_views,
        "pooling": recipe.pooling,
    }


def load_stack_model(request: ModelRequest, recipe: StackRecipe) -> StackModel:
    """Builds the engine of a checked bundle.

    Raises `ContractError` without a bundle, where modality, classes, taxonomy, partition or views differ from
    the pipeline's and the recipe's, for an engine on torch, which knows torchvision's nets only, and what
    `modalities.engines.load_engine` raises.
    """
    partition, bundle = request.partition, request.bundle
    if bundle is None:
        raise ContractError(
            f"this model set has no bundle for {recipe.name}; fit one on simulated files with: "
            f"dxtree train-simulated {recipe.name}"
        )
    check_belongs(bundle, partition, recipe.name, source_file(bundle))
    if bundle.manifest.get("views") != shape_of(recipe):
        raise ContractError(
            f"the bundle's net was fitted on other views than {recipe.name} makes now; fit it again"
        )
    check_engine(request.engine)
    if request.engine in KINDS and KINDS[request.engine].package == "torch":
        raise ContractError(f"{recipe.name} runs on no engine of torch; use auto or onnxruntime")
    engine = load_engine(bundle, request.engine)
    return StackModel(
        modality=recipe.name,
        prior=read_prior(bundle, partition.ids),
        temperature=read_temperature(bundle),
        recipe=recipe,
        engine=engine,
        provenance={
            "model": str(bundle.manifest.get("name", recipe.name)),
            "architecture": bundle.require("architecture", str),
            "engine": engine.name,
            "digest": bundle.digest,
            "licence": str(bundle.manifest.get("licence", "not stated")),
        },
        make_engine=maker_of(bundle, engine),
    )
