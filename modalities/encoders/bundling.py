"""How do the heads of a run become a bundle, and how good are they on lesions they never saw?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.cohort import LabelledImage
from core.errors import TrainingError
from core.manifest import Bundle, read_bundle, write_bundle
from core.split import TRAINING
from core.tree import FloatArray as DoubleArray
from modalities.encoders.encoder import identity
from modalities.encoders.head import IntArray, cross_entropy, temperature_of
from modalities.encoders.model import WEIGHTS
from modalities.encoders.run import FINAL, Fitted, HeadRun
from modalities.gate import SafetyGate, fit_if_enough
from modalities.training.evidence import read_evidence
from plugins.model_set import MODALITY_MANIFEST


@dataclass(frozen=True)
class OutOfFold:
    """What heads say of `images` of training lesions that they did not see, in classes that they saw.

    `unseen` images are left out of everything: no other fold has their class, so the head's prior of it is 0
    and it says nothing of it. `temperature` divides the logits. `loss` and `prior_loss` are the
    cross-entropies of the calibrated heads and of the prior alone, nats an image, images weighing as in the
    fit. `balanced_accuracy` is the mean recall over these classes, each image counting alike.
    """

    images: int
    unseen: int
    temperature: float
    loss: float
    prior_loss: float
    balanced_accuracy: float


def out_of_fold(run: HeadRun, fitted: Fitted) -> OutOfFold:
    """Judges the evidence of every fold. Raises `TrainingError` where it holds no image of a class seen."""
    by_image = {(i.cohort, i.image): i for i in run.images}
    chosen: list[LabelledImage] = []
    parts: list[DoubleArray] = []
    unseen = 0
    for target in run.targets()[1:]:
        path = run.folder / target / "evidence.csv"
        if not path.is_file():
            continue  # no image of the modality falls into this fold
        keys, logits, _ = read_evidence(path)
        images = [by_image[cohort, image] for image, _, cohort in keys]
        seen = [fitted.data[target]["prior"][run.partition.class_of(i.label)] > 0 for i in images]
        chosen += [i for i, kept in zip(images, seen, strict=True) if kept]
        parts.append(logits[seen])
        unseen += seen.count(False)
    if not chosen:
        raise TrainingError(f"{run.modality}: no fold holds an image of a class that another fold has too")
    rows = np.concatenate(parts)
    targets, weights = run.targets_and_weights(chosen)
    temperature = temperature_of(rows, targets, weights)
    shares = np.bincount(targets, weights) / weights.sum()
    shares = shares[shares > 0]
    return OutOfFold(
        len(rows),
        unseen,
        temperature,
        cross_entropy(rows / temperature, targets, weights),
        float(-(shares * np.log(shares)).sum()),
        _balanced_accuracy(rows, targets),
    )


def _balanced_accuracy(rows: DoubleArray, targets: IntArray) -> float:
    right = rows.argmax(axis=1) == targets
    return float(np.mean([right[targets == k].mean() for k in np.unique(targets)]))


def make_bundle(run: HeadRun, fitted: Fitted, about: Mapping[str, Any]) -> tuple[Bundle, OutOfFold]:
    """Writes `RUN/bundle`: the final head, its temperature, its gate and the identity of the encoder.

    `about` enters the manifest (name, licence ...). Raises what `out_of_fold` raises.
    """
    import sklearn

    judged = out_of_fold(run, fitted)
    data = fitted.data[FINAL]
    taxonomy = run.partition.taxonomy
    gate = _gate(run, fitted)
    manifest = {
        "kind": "modality",
        "modality": run.modality,
        **about,
        "architecture": run.architecture,
        "encoder": identity(run.encoder),
        "taxonomy_name": taxonomy.name,
        "taxonomy": taxonomy.fingerprint,
        "partition": run.partition.fingerprint,
        "classes": list(run.partition.ids),
        "prior": data["prior"],
        "temperature": judged.temperature,
        "checks": None if gate is None else gate.to_dict(),
        "training": {
            "images": data["images"],
            "skipped": data["skipped"],
            "penalty": data["penalty"],
            "balance": asdict(run.balance),
            "split_seed": run.split.seed,
            "folds": run.split.folds,
            "out_of_fold": asdict(judged),
            "scikit-learn": sklearn.__version__,
        },
    }
    folder = run.folder / "bundle"
    write_bundle(folder, MODALITY_MANIFEST, manifest, {WEIGHTS: fitted.final.to_bytes()})
    return read_bundle(folder, MODALITY_MANIFEST), judged


def _gate(run: HeadRun, fitted: Fitted) -> SafetyGate | None:
    embedded = fitted.embedded
    images = run.split.select(embedded.images, TRAINING)
    looks = embedded.looks[[embedded.place[i.cohort, i.image] for i in images]]
    return fit_if_enough(looks, [i.lesion for i in images], {"cohorts": sorted({i.cohort for i in images})})
