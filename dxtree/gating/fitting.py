"""How does a model set get a gate, without any net being trained again? Its bundles are written anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from core.cohort import LabelledImage
from core.errors import CohortError, PathRejected
from core.manifest import read_bundle, write_bundle
from core.split import TRAINING
from dxtree.gating.looking import Looked, chosen, look_at, preprocessings
from modalities.cnn.preprocess import Preprocessing
from modalities.gate import RATE, SafetyGate, fit
from plugins.model_set import MANIFEST, MODALITY_MANIFEST, ModelSet

MOST = 1500
"""Images of each modality that are looked at."""

NAMED = 16
"""Digits by which a card names a bundle."""

Told = Callable[[str, int, int], None]
"""Modality, images done, images in all."""


def fit_gates(
    models: ModelSet,
    images: Sequence[LabelledImage],
    *,
    rate: float = RATE,
    most: int = MOST,
    seed: int = 0,
    progress: Told | None = None,
) -> dict[str, SafetyGate]:
    """A gate for every modality whose bundle says what its net is shown, from training lesions alone.

    The other modalities' images are looked at as this modality's net would see them. Raises `CohortError`
    where there is no image, and what `modalities.gate.fit` raises.
    """
    shown = preprocessings(models)
    if not shown:
        raise CohortError("no bundle of this model set says what its net is shown; there is nothing to fit")
    parts = chosen(images, models, TRAINING, most, seed)
    seen: dict[tuple[str, Preprocessing], Looked] = {}

    def looked(modality: str, preprocessing: Preprocessing) -> Looked:
        key = (modality, preprocessing)
        if key not in seen:
            told = None if progress is None else _told(progress, modality)
            seen[key] = look_at(parts[modality], preprocessing, told)
        return seen[key]

    gates = {}
    for modality, preprocessing in shown.items():
        own = looked(modality, preprocessing)
        rest = {m: looked(m, preprocessing) for m in parts if m != modality}
        others = np.concatenate([r.looks for r in rest.values()]) if rest else None
        about = {
            "cohorts": sorted({i.cohort for i in own.images}),
            "others": {m: len(r.images) for m, r in rest.items()},
            "seed": seed,
        }
        gates[modality] = fit(own.looks, own.lesions, others, rate=rate, about=about)
    return gates


def write_gates(models: ModelSet, gates: Mapping[str, SafetyGate], out: Path) -> ModelSet:
    """The set with these gates in `out`, which may be the set's own folder.

    Weights, fusers and calibrations stay to the byte; what changes are the manifests of the bundles, their
    digests in the set's, and those digests in the texts (`.md`) that name a bundle by the first 16 digits.
    Raises `PathRejected` where `out` is another folder that holds anything.
    """
    if out.resolve() != models.folder.resolve():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise PathRejected(f"{out.name!r} holds something; name a new folder, or that of the model set")
        shutil.copytree(models.folder, out, dirs_exist_ok=True)
    digests = dict(models.modalities)
    for modality, gate in gates.items():
        bundle = read_bundle(out / modality, MODALITY_MANIFEST)
        manifest = {**bundle.stated, "checks": gate.to_dict()}
        write_bundle(out / modality, MODALITY_MANIFEST, manifest, bundle.files)
        digests[modality] = read_bundle(out / modality, MODALITY_MANIFEST).digest
    files = dict(models.bundle.files)
    for name in (name for name in files if name.endswith(".md")):
        for modality, digest in digests.items():
            old = models.modalities[modality][:NAMED].encode()
            files[name] = files[name].replace(old, digest[:NAMED].encode())
    write_bundle(out, MANIFEST, {**models.bundle.stated, "modalities": digests}, files)
    return ModelSet.open(out)


def _told(progress: Told, modality: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(modality, done, total)
