"""How does a finished run become a model bundle that runs without torch?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torchvision
from scipy.optimize import minimize_scalar

from core.errors import TrainingError
from core.manifest import Bundle, read_bundle, write_bundle
from core.split import TRAINING
from modalities.cnn.graph import export
from modalities.engines import GRAPH
from modalities.gate import SafetyGate, fit_if_enough, look
from modalities.training.data import read_all
from modalities.training.evidence import read_evidence
from modalities.training.objectives import targets_of
from modalities.training.run import Run, read_data
from modalities.training.starting import FINAL
from plugins.model_set import MODALITY_MANIFEST

GATE_SAMPLE = 2000
"""At most so many training images are looked at for the gate."""


def make_bundle(
    run: Run,
    folder: Path,
    about: Mapping[str, Any],
    texts: Mapping[str, bytes],
    temperature: float | None = None,
) -> Bundle:
    """Exports the final net, calibrates it on out-of-fold logits and writes the bundle.

    `about` enters the manifest (name, licence ...), `texts` are files such as the model card. Its entry
    `checks`, the safety gate, is null where the training images are too few to fit one. A `temperature` that
    is given stands in place of the calibration, which needs the nets of all folds. Raises
    `TrainingError` where a target of the run that is needed is not finished.
    """
    net = run.finished(FINAL)
    if net is None:
        raise TrainingError(f"the final net of {run.folder.name} is not trained yet")
    preprocessing = run.test_preprocessing()
    graph, shared = export(net, preprocessing.size)
    data = read_data(run.folder / FINAL)
    taxonomy = run.partition.taxonomy
    gate = _gate(run)
    manifest = {
        "kind": "modality",
        "modality": run.config.modality,
        **about,
        "architecture": run.config.architecture,
        "taxonomy_name": taxonomy.name,
        "taxonomy": taxonomy.fingerprint,
        "partition": run.partition.fingerprint,
        "classes": list(run.partition.ids),
        "prior": data["prior"],
        "preprocessing": preprocessing.to_dict(),
        "temperature": temperature_of(run) if temperature is None else temperature,
        "checks": None if gate is None else gate.to_dict(),
        "shared_parameters": shared,
        "training": {
            "config": run.config.model_dump(mode="json"),
            "images": data["images"],
            "skipped": data["skipped"],
            "split_seed": run.split.seed,
            "folds": run.split.folds,
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
        },
    }
    write_bundle(folder, MODALITY_MANIFEST, manifest, {GRAPH: graph, **texts})
    return read_bundle(folder, MODALITY_MANIFEST)


def temperature_of(run: Run) -> float:
    """The temperature that minimises the cross-entropy of out-of-fold logits (Guo et al. 2017).

    Images weigh as they were drawn in training, so that it fits the prior that the bundle states.
    """
    rows, targets, weights = out_of_fold(run)
    found = minimize_scalar(
        lambda log_t: _cross_entropy(rows / np.exp(log_t), targets, weights), bounds=(-2, 2), method="bounded"
    )
    return round(float(np.exp(found.x)), 4)


def out_of_fold(
    run: Run,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Logits N x classes, classes as indices and draw weights of all training images, from nets that did
    not see them. Raises `TrainingError` where a fold is not finished.
    """
    by_image = {(i.cohort, i.image): i for i in run.split.select(run.images, TRAINING)}
    index = {name: k for k, name in enumerate(run.partition.ids)}
    logits, found, classes = [], [], []
    for target in run.targets()[1:]:
        if not run.is_finished(target):
            raise TrainingError(f"{target} of {run.folder.name} is not trained yet; calibration needs it")
        if not run.evidence_images(target):
            continue
        keys, rows, _ = read_evidence(run.folder / target / "evidence.csv")
        images = [by_image[cohort, image] for image, _, cohort in keys]
        owners = targets_of(run.partition, [i.label for i in images], run.config.loss)
        # A label that was trained on as a coarse one tells of no class, so no class is held against it.
        known = [k for k, owner in enumerate(owners) if owner in index]
        logits.append(rows[known])
        classes += [index[owners[k]] for k in known]
        found += [images[k] for k in known]
    return np.concatenate(logits), np.array(classes, np.int64), run.draw(found)


def _cross_entropy(
    logits: npt.NDArray[np.float64], targets: npt.NDArray[np.int64], weights: npt.NDArray[np.float64]
) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted[np.arange(len(targets)), targets] - np.log(np.exp(shifted).sum(axis=1))
    return float(-(weights * log_p).sum() / weights.sum())


def _gate(run: Run) -> SafetyGate | None:
    preprocessing = run.test_preprocessing()
    chosen = run.split.select(run.images, TRAINING)
    step = max(1, -(-len(chosen) // GATE_SAMPLE))
    pixels, images, _ = read_all(chosen[::step], preprocessing.resize)
    looks = np.stack([look(preprocessing.planes(p)) for p in pixels])
    about = {"cohorts": sorted({i.cohort for i in images})}
    return fit_if_enough(looks, [i.lesion for i in images], about)
