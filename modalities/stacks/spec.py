"""What does the plugin of a stack modality write? One line that turns a recipe into a modality."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from core.protocols import ModalityModel
from modalities.stacks.recipe import StackRecipe
from plugins.specs import ModalitySpec, ModelRequest


def modality_from_recipe(
    name: str, title: str, recipe: Callable[[], StackRecipe], card: str, licence: str = "Apache-2.0"
) -> ModalitySpec:
    """A spec for `dxtree_modalities`, used by pipelines whose model set has a bundle for it.

    `recipe` imports and gives the recipe, when a model or samples are needed.
    """
    return ModalitySpec(
        name,
        title,
        partial(_load, recipe),
        needs_bundle=True,
        samples=partial(_samples, recipe),
        licence=licence,
        card=card,
    )


def _load(recipe: Callable[[], StackRecipe], request: ModelRequest) -> ModalityModel:
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, recipe())


def _samples(recipe: Callable[[], StackRecipe]) -> Sequence[bytes]:
    """Two simulated files of different kinds, alike at every call."""
    import numpy as np

    found = recipe()
    return [found.draw(kind, np.random.default_rng(n)) for n, (kind, _) in enumerate(found.kinds[:2])]
