"""How does a model set get a modality that was fitted to simulations?"""

from __future__ import annotations

from pathlib import Path

from core.manifest import Bundle
from dxtree.adding import add_modality
from modalities.stacks import StackRecipe
from modalities.stacks.fitting import Judged, Progress, fit_simulated
from plugins.model_set import ModelSet


def add_simulated(
    models: ModelSet,
    recipe: StackRecipe,
    out: Path,
    *,
    lesions: int,
    seed: int,
    epochs: int,
    progress: Progress | None = None,
) -> tuple[ModelSet, Judged]:
    """A copy of the set in the new folder `out`, with one more bundle; everything else stays to the byte.

    The new set says that it is for demonstration, whatever the old one was: an answer may now hang on a net
    that knows no patient. Raises `ContractError` where the set has a bundle of the modality, `PathRejected`
    where `out` holds anything, and what `fit_simulated` raises; then nothing is left in `out`.
    """

    def write(folder: Path) -> tuple[Bundle, Judged]:
        fitted = fit_simulated(
            recipe,
            models.partition,
            folder,
            lesions=lesions,
            seed=seed,
            epochs=epochs,
            progress=progress,
        )
        return fitted.bundle, fitted.judged

    return add_modality(models, recipe.name, out, write, {"demonstration": True})
