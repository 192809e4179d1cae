"""How does a model set get one modality more, and stay what it was in everything else?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from core.errors import ContractError, PathRejected
from core.manifest import Bundle, write_bundle
from plugins.model_set import MANIFEST, ModelSet

Told = TypeVar("Told")


def add_modality(
    models: ModelSet,
    name: str,
    out: Path,
    write: Callable[[Path], tuple[Bundle, Told]],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[ModelSet, Told]:
    """A copy of the set in the new folder `out` with the bundle that `write` writes into the folder it gets.

    `about`: what the new set's manifest says in place of the old one's. Its fusers take the new modality as
    they take any that they were not fitted with. Raises `ContractError` where the set has a bundle of this
    name, `PathRejected` where `out` holds anything, and what `write` raises; then nothing is left in `out`.
    """
    if name in models.modalities:
        raise ContractError(f"this model set has a bundle for {name}; give a set without one")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PathRejected(f"{out.name!r} holds something; name a new folder")
    try:
        shutil.copytree(models.folder, out, dirs_exist_ok=True)
        bundle, told = write(out / name)
        document = {**models.bundle.stated, **about}
        document["modalities"] = dict(sorted({**models.modalities, name: bundle.digest}.items()))
        write_bundle(out, MANIFEST, document, models.bundle.files)
        return ModelSet.open(out), told
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
