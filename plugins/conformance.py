"""Does a plugin keep the contract? What `dxtree plugins check NAME` and a plugin's own tests run.

Every check states a promise of `core.protocols`; a broken one says what was found.
"""

from __future__ import annotations

import io
import os
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from core.case import ImageInput, PatientMetadata
from core.errors import DxtreeError, PluginError, did_you_mean
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Evidence, Fuser, ImageResult, ModalityModel
from plugins.assembly import load_fuser, modality_models, usable_fusers
from plugins.model_set import ModelSet
from plugins.registry import Registry


@dataclass(frozen=True)
class Finding:
    """One promise, and whether it was kept; `detail` says what was found."""

    check: str
    passed: bool
    detail: str = ""


def check(plugin: str, registry: Registry, models: ModelSet) -> list[Finding]:
    """Runs every check that applies to what a plugin offers.

    Raises `PluginError` for a plugin that does not exist. One that failed to load has one finding.
    """
    known = {s.name: s for s in registry.manager.statuses}
    if plugin not in known:
        raise PluginError(f"no plugin {plugin!r}; there are {', '.join(known)}{did_you_mean(plugin, known)}")
    status = known[plugin]
    loaded = Finding("it loads", status.state == "ok", status.cause.safe_message if status.cause else "")
    if status.state == "not enabled":
        return [Finding("it loads", passed=False, detail="it is not enabled; name it with --plugin")]
    if status.state != "ok":
        return [loaded]
    offers = registry.offered_by(plugin)
    findings = [loaded, Finding("it offers something", any(offers.values()) or _watches(registry, plugin))]
    for name in offers["modality"]:
        findings += check_modality(name, registry, models)
    for name in offers["fuser"]:
        findings += check_fuser(name, registry, models)
    for name in offers["taxonomy"]:
        findings.append(_try(f"taxonomy {name} loads", registry.taxonomies.get(name).load))
    for name in offers["model set"]:
        folder = registry.model_sets.get(name).folder
        findings.append(_try(f"model set {name} is whole", partial(_open_all, folder)))
    return findings


def _open_all(folder: Path) -> None:
    found = ModelSet.open(folder)
    _expect(len(found.partition.ids) > 0)
    for modality in found.modalities:
        found.modality_bundle(modality)
    for fuser in found.fusers:
        found.fuser_bundle(fuser)


def sample_images(modality: str, number: int = 2) -> list[ImageInput]:
    """Drawn 256 x 256 PNG images, different from each other and the same at every call."""
    made = []
    for seed in range(number):
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[-1:1:256j, -1:1:256j]
        spot = np.exp(-((x - 0.1 * seed) ** 2 + y**2) * (6 - 2 * seed))[..., None]
        skin = np.array([214, 168 - 12 * seed, 144]) + rng.normal(0, 6, (256, 256, 1))
        pixels = np.clip(skin - spot * np.array([120, 110, 90]), 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        made.append(ImageInput(modality=modality, data=buffer.getvalue()))
    return made


def check_modality(name: str, registry: Registry, models: ModelSet) -> list[Finding]:
    """The promises of `core.ModalityModel`, on drawn images."""
    before, loaders = _globals(), modality_models(registry, models)
    if name not in loaders:
        return [
            Finding(
                f"{name}: its model can be had", passed=False, detail="the model set has no bundle for it"
            )
        ]
    loaded: list[ModalityModel] = []
    first = _try(f"{name}: its model loads", lambda: loaded.append(loaders[name]()))
    if not loaded:
        return [first]
    model, images, partition = loaded[0], sample_images(name), models.partition
    answer: list[ImageResult] = []
    findings = [
        first,
        _try(
            f"{name}: it bears its own name",
            lambda: _expect(model.modality == name, f"it says {model.modality!r}"),
        ),
        _try(
            f"{name}: its prior is over the training classes",
            lambda: _expect(_fits(model.prior, partition)),
        ),
        _try(f"{name}: its provenance is text", lambda: _expect(_is_text(model.provenance))),
        _try(f"{name}: it answers for drawn images", lambda: answer.extend(model.predict(images))),
        _try(
            f"{name}: one ImageResult an image",
            lambda: _expect([type(r) for r in answer] == [ImageResult] * len(images)),
        ),
    ]
    if all(f.passed for f in findings[-2:]):
        findings += _check_answers(name, model, images, answer, partition)
    changed = _changed(before)
    findings += [
        Finding(f"{name}: it leaves the process as it was", not changed, ", ".join(changed)),
        _try(f"{name}: a file that is no image is a typed error", lambda: _refuse(name, model)),
    ]
    return findings


def _check_answers(
    name: str,
    model: ModalityModel,
    images: list[ImageInput],
    answer: list[ImageResult],
    partition: Partition,
) -> list[Finding]:
    def same(again: Iterable[ImageResult]) -> None:
        _expect([r.probabilities for r in again] == [r.probabilities for r in answer])

    return [
        _try(
            f"{name}: its classes are the pipeline's",
            lambda: _expect(all(_fits(r.probabilities, partition) for r in answer)),
        ),
        _try(f"{name}: the same images give the same bits", lambda: same(model.predict(images))),
        _try(
            f"{name}: an answer does not depend on its neighbours",
            lambda: same(model.predict([image])[0] for image in images),
        ),
        _try(
            f"{name}: the order of images does not matter",
            lambda: same(reversed(list(model.predict(images[::-1])))),
        ),
        _try(f"{name}: no image, no result", lambda: _expect(not list(model.predict([])))),
    ]


def _refuse(name: str, model: ModalityModel) -> None:
    try:
        list(model.predict([ImageInput(modality=name, data=b"this is no image")]))
    except DxtreeError:
        return
    raise PluginError("it answered as if it were one")


def check_fuser(name: str, registry: Registry, models: ModelSet) -> list[Finding]:
    """The promises of `core.Fuser`, on every subset of the model set's modalities and of the metadata."""
    if name not in usable_fusers(registry, models):
        return [Finding(f"{name}: it is fitted", passed=False, detail="the model set holds no fitted one")]
    loaded: list[Fuser] = []
    first = _try(f"{name}: it loads", lambda: loaded.append(load_fuser(registry, models, name)))
    if not loaded:
        return [first]
    fuser, evidence = loaded[0], _sample_evidence(models)
    patient = PatientMetadata(age_years=62, sex="female", site="back")
    none = PatientMetadata()
    subsets = [s for n in range(1, len(evidence) + 1) for s in combinations(evidence, n)]
    return [
        first,
        _try(
            f"{name}: it bears its own name", lambda: _expect(fuser.name == name, f"it says {fuser.name!r}")
        ),
        _try(f"{name}: its provenance is text", lambda: _expect(_is_text(fuser.provenance))),
        _try(
            f"{name}: every subset of inputs has an answer",
            lambda: _all_answer(fuser, subsets, models.partition),
        ),
        _try(
            f"{name}: the order of evidence does not matter",
            lambda: _expect(fuser.fuse(evidence, patient) == fuser.fuse(evidence[::-1], patient)),
        ),
        _try(
            f"{name}: one modality and no metadata is image-only, to the bit",
            lambda: _expect(all(fuser.fuse([e], none) == e.probabilities for e in evidence)),
        ),
        _try(f"{name}: it uses no metadata that is not known", lambda: _expect(fuser.used(none) == ())),
    ]


def _all_answer(fuser: Fuser, subsets: Sequence[Sequence[Evidence]], partition: Partition) -> None:
    full = {"age_years": 62.0, "sex": "female", "site": "back"}
    for n in range(len(full) + 1):
        for fields in combinations(full, n):
            patient = PatientMetadata(**{f: full[f] for f in fields})  # type: ignore[arg-type]
            for subset in subsets:
                _expect(fuser.fuse(subset, patient).classes == partition.ids)


def _sample_evidence(models: ModelSet) -> list[Evidence]:
    classes, found = models.partition.ids, []
    for seed, modality in enumerate(sorted(models.modalities)):
        bundle = models.modality_bundle(modality)
        prior = bundle.manifest["prior"] if bundle else {}
        values = np.random.default_rng(seed).dirichlet(np.ones(len(classes)))
        given = LeafProbabilities.from_weights(classes, [float(prior.get(c, 0)) for c in classes])
        found.append(Evidence(modality, LeafProbabilities.from_weights(classes, values), given, 1))
    return found


def _try(what: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the plugin raises is the finding
        text = error.safe_message if isinstance(error, DxtreeError) else f"{type(error).__name__}: {error}"
        return Finding(what, passed=False, detail=text)
    return Finding(what, passed=True)


def _expect(kept: bool, otherwise: str = "it does not hold") -> None:
    if not kept:
        raise PluginError(otherwise)


def _fits(probabilities: object, partition: Partition) -> bool:
    return isinstance(probabilities, LeafProbabilities) and probabilities.classes == partition.ids


def _is_text(provenance: Mapping[str, str]) -> bool:
    return all(isinstance(text, str) for pair in provenance.items() for text in pair)


def _watches(registry: Registry, plugin: str) -> bool:
    return plugin in registry.manager.watchers()


def _globals() -> dict[str, object]:
    torch: Any = sys.modules.get("torch")
    return {
        "ImageFile.LOAD_TRUNCATED_IMAGES": ImageFile.LOAD_TRUNCATED_IMAGES,
        "Image.MAX_IMAGE_PIXELS": Image.MAX_IMAGE_PIXELS,
        "random state": random.getstate(),
        "numpy random state": str(np.random.get_state(legacy=False)),  # noqa: NPY002
        "torch random state": torch.get_rng_state().tolist() if torch else None,
        "torch threads": torch.get_num_threads() if torch else None,
        "working directory": str(Path.cwd()),
        "environment": dict(os.environ),
    }


def _changed(before: Mapping[str, object]) -> list[str]:
    # Off is the only right state, also where it was turned on when the plugin was imported.
    right = {**before, "ImageFile.LOAD_TRUNCATED_IMAGES": False}
    now = _globals()
    # To import torch is no fault: what it brings is compared where it was there before.
    return [k for k, v in now.items() if right[k] != v and not (right[k] is None and k.startswith("torch"))]
