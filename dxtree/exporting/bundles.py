"""Which bundle is exported, and how is it written beside its set without a moment of half a folder?"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cohort import LabelledImage
from core.errors import BundleError, CohortError, PathRejected
from core.manifest import OWN_DIGEST, Bundle, read_bundle, write_bundle
from core.split import Split
from dxtree.exporting.images import PartOf
from plugins.model_set import MANIFEST, MODALITY_MANIFEST, ModelSet

_WRITERS = ("format", "files", OWN_DIGEST)
"""Entries of a manifest that `write_bundle` makes itself."""


@dataclass(frozen=True)
class Source:
    """A modality's bundle, alone in its folder or within a model set."""

    folder: Path
    modality: str
    bundle: Bundle
    models: ModelSet | None = None

    def part_of(self, split: Split | None) -> PartOf:
        """The part of an image's lesion: as the set remembers it, or as the split says.

        Raises `CohortError` where neither or both are there.
        """
        if self.models is not None:
            if split is not None:
                raise CohortError("a model set knows which lesions trained it; leave --split out")
            models = self.models
            return lambda image: models.part_of(image.lesion)
        if split is None:
            raise CohortError(
                "which lesions trained this bundle? Give --split RUN/split.json of the run that made it"
            )
        given = split

        def part(image: LabelledImage) -> str | None:
            return None if image.image in given.excluded else given.part_of(image)

        return part


def open_source(folder: Path, modality: str | None = None) -> Source:
    """The bundle of a folder, or a set's bundle of a modality.

    Raises `BundleError` where the folder holds neither, or the set holds several or not this modality, and
    what reading raises.
    """
    if (folder / MANIFEST).is_file():
        models = ModelSet.open(folder)
        held = sorted(models.modalities)
        name = modality or (held[0] if len(held) == 1 else None)
        bundle = models.modality_bundle(name) if name is not None else None
        if name is None or bundle is None:
            raise BundleError(f"--modality names one of the set's: {', '.join(held) or 'it has none'}")
        return Source(folder, name, bundle, models)
    if not (folder / MODALITY_MANIFEST).is_file():
        raise BundleError(
            f"{folder.name!r} holds no {MODALITY_MANIFEST} and no {MANIFEST}; name a bundle or set"
        )
    bundle = read_bundle(folder, MODALITY_MANIFEST)
    own = str(bundle.require("modality", str))
    if modality not in (None, own):
        raise BundleError(f"the bundle is of {own}, not of {modality}")
    return Source(folder, own, bundle)


def check_target(source: Source, out: Path | None, *, in_place: bool) -> Path:
    """Where the result goes. Raises `PathRejected` for none, for two, and for a folder that is not empty."""
    if in_place == (out is not None):
        raise PathRejected("say where to: --out FOLDER, or --in-place")
    if out is None:
        return source.folder.resolve()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PathRejected(f"{out.name} holds something; name a new folder, or use --in-place")
    return out.resolve()


def write_exported(
    source: Source, entries: Mapping[str, Any], files: Mapping[str, bytes], target: Path
) -> Bundle:
    """Writes the bundle with these entries and files added, and the set around it, where there is one.

    All is written beside the target and put there by renaming; what stood there is deleted last, so that a
    kill leaves the old folder, or the new one, under the target's name or beside it.
    """
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    manifest = {**_own(source.bundle), **entries}
    content = {**source.bundle.files, **files}
    try:
        if source.models is None:
            bundle = _written(partial, manifest, content)
        else:
            bundle = _within_set(source, source.models, manifest, content, partial)
        _put(partial, target)
    except OSError as error:
        raise PathRejected(f"{target.name} cannot be written ({type(error).__name__})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return bundle


def _within_set(
    source: Source, models: ModelSet, manifest: Mapping[str, Any], content: Mapping[str, bytes], folder: Path
) -> Bundle:
    shutil.copytree(models.folder, folder)
    shutil.rmtree(folder / source.modality)
    bundle = _written(folder / source.modality, manifest, content)
    digests = {**models.modalities, source.modality: bundle.digest}
    write_bundle(folder, MANIFEST, {**_own(models.bundle), "modalities": digests}, models.bundle.files)
    ModelSet.open(folder).modality_bundle(source.modality)
    return bundle


def _written(folder: Path, manifest: Mapping[str, Any], content: Mapping[str, bytes]) -> Bundle:
    write_bundle(folder, MODALITY_MANIFEST, manifest, content)
    return read_bundle(folder, MODALITY_MANIFEST)


def _put(partial: Path, target: Path) -> None:
    old = target.with_name(f"{target.name}.{os.getpid()}.old")
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _own(bundle: Bundle) -> dict[str, Any]:
    return {key: value for key, value in bundle.manifest.items() if key not in _WRITERS}
