"""How does a model set get a modality that was fitted to simulations?"""

from __future__ import annotations

import shutil
from pathlib import Path

from core.errors import ContractError, PathRejected
from core.manifest import write_bundle
from modalities.stacks import StackRecipe
from modalities.stacks.fitting import Judged, Progress, fit_simulated
from plugins.model_set import MANIFEST, ModelSet

WRITTEN = ("format", "files", "sha256")
"""Entries of a manifest that `write_bundle` makes."""


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
    if recipe.name in models.modalities:
        raise ContractError(f"this model set has a bundle for {recipe.name}; give a set without one")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PathRejected(f"{out.name!r} holds something; name a new folder")
    try:
        shutil.copytree(models.folder, out, dirs_exist_ok=True)
        fitted = fit_simulated(
            recipe,
            models.partition,
            out / recipe.name,
            lesions=lesions,
            seed=seed,
            epochs=epochs,
            progress=progress,
        )
        document = {k: v for k, v in models.bundle.manifest.items() if k not in WRITTEN}
        document["demonstration"] = True
        document["modalities"] = dict(
            sorted({**models.modalities, recipe.name: fitted.bundle.digest}.items())
        )
        write_bundle(out, MANIFEST, document, models.bundle.files)
        return ModelSet.open(out), fitted.judged
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
