"""How does a table of scores become a bundle, and how good is it on lesions that it was not fitted on?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import TrainingError
from core.manifest import Bundle, read_bundle, write_bundle
from core.partition import Partition
from modalities.concepts.discriminant import Discriminant, FloatArray, IntArray, fit
from modalities.concepts.model import FILE, NAME
from modalities.concepts.vocabulary import CONCEPTS
from modalities.encoders.head import cross_entropy, temperature_of
from plugins.model_set import MODALITY_MANIFEST

FOLDS = 5
LEAST_KNOWN = 10
"""Rows that must know a concept; one that fewer know is not read by the model."""
RESAMPLES = 1000


@dataclass(frozen=True)
class ConceptRow:
    """One image's or lesion's scores, of those that are known, with its true training class."""

    lesion: str
    scores: Mapping[str, float]
    truth: str


@dataclass(frozen=True)
class Judged:
    """Out of fold, lesions never parted. `low` to `high` is the 95 % interval by a bootstrap over lesions.

    `balanced_accuracy` is mean recall over the `classes` that the table shows, `chance` what a guess has,
    `loss` and `prior_loss` nats of cross-entropy, the latter of the prior alone.
    """

    rows: int
    lesions: int
    classes: int
    balanced_accuracy: float
    low: float
    high: float
    chance: float
    loss: float
    prior_loss: float


def fit_concepts(
    rows: Sequence[ConceptRow], partition: Partition, folder: Path, about: Mapping[str, Any]
) -> tuple[Bundle, Judged]:
    """Fits, judges out of fold and writes the bundle; `about` enters its manifest (name, licence ...).

    Raises `TrainingError` where no concept is known in ten rows, or the rows show fewer than two classes.
    """
    concepts = tuple(c for c in CONCEPTS if sum(c in r.scores for r in rows) >= LEAST_KNOWN)
    if not concepts:
        raise TrainingError(f"no concept is known in {LEAST_KNOWN} rows of the table")
    table = np.array([[r.scores.get(c, np.nan) for c in concepts] for r in rows], np.float64)
    index = {name: k for k, name in enumerate(partition.ids)}
    targets = np.array([index[r.truth] for r in rows], np.int64)
    logits = _out_of_fold(table, targets, [r.lesion for r in rows], len(index), concepts)
    weights = np.full(len(rows), 1 / len(rows))
    temperature = float(np.clip(temperature_of(logits, targets, weights), 0.2, 5))
    judged = _judged(logits / temperature, targets, [r.lesion for r in rows])
    final = fit(table, targets, len(index), concepts)
    manifest = {
        "kind": "modality",
        "modality": NAME,
        **about,
        "architecture": "linear discriminant of concepts",
        "concepts": list(concepts),
        "taxonomy_name": partition.taxonomy.name,
        "taxonomy": partition.taxonomy.fingerprint,
        "partition": partition.fingerprint,
        "classes": list(partition.ids),
        "prior": dict(zip(partition.ids, final.prior.tolist(), strict=True)),
        "temperature": temperature,
        "training": {"rows": len(rows), "out_of_fold": asdict(judged)},
    }
    write_bundle(folder, MODALITY_MANIFEST, manifest, {FILE: final.to_bytes()})
    return read_bundle(folder, MODALITY_MANIFEST), judged


def _out_of_fold(
    table: FloatArray, targets: IntArray, lesions: Sequence[str], classes: int, concepts: tuple[str, ...]
) -> FloatArray:
    fold = np.array([hashlib.sha256(n.encode()).digest()[0] % FOLDS for n in lesions])
    logits = np.zeros((len(table), classes))
    for k in np.unique(fold):
        rest = fold != k
        # What only this fold knows cannot be fitted on the others.
        known = np.isfinite(table[rest]).any(axis=0)
        names = tuple(c for c, some in zip(concepts, known, strict=True) if some)
        found = fit(table[rest][:, known], targets[rest], classes, names)
        for row in np.flatnonzero(~rest):
            logits[row] = found.logits(_known(table[row], concepts))
    return logits


def _known(row: FloatArray, concepts: tuple[str, ...]) -> dict[str, float]:
    return {c: float(x) for c, x in zip(concepts, row, strict=True) if np.isfinite(x)}


def _judged(logits: FloatArray, targets: IntArray, lesions: Sequence[str]) -> Judged:
    present, inside = np.unique(targets, return_inverse=True)
    right = (logits.argmax(axis=1) == targets).astype(np.float64)
    names, group = np.unique(np.asarray(lesions), return_inverse=True)
    hits, support = np.zeros((2, len(names), len(present)))
    np.add.at(hits, (group, inside), right)
    np.add.at(support, (group, inside), 1.0)
    drawn = np.random.default_rng(0).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    counted = drawn @ support
    with np.errstate(invalid="ignore"):
        recalls = np.where(counted > 0, drawn @ hits / np.where(counted > 0, counted, 1), np.nan)
    low, high = np.quantile(np.nanmean(recalls, axis=1), (0.025, 0.975))
    share = np.bincount(inside) / len(targets)
    weights = np.full(len(targets), 1 / len(targets))
    return Judged(
        rows=len(targets),
        lesions=len(names),
        classes=len(present),
        balanced_accuracy=float((hits.sum(axis=0) / support.sum(axis=0)).mean()),
        low=float(low),
        high=float(high),
        chance=1 / len(present),
        loss=cross_entropy(logits, targets, weights),
        prior_loss=float(-(share * np.log(share)).sum()),
    )


def evaluate(found: Discriminant, rows: Sequence[ConceptRow], ids: tuple[str, ...]) -> Judged:
    """A fitted discriminant on rows that it was not fitted on, without a temperature."""
    logits = np.stack([found.logits(r.scores) for r in rows])
    return _judged(logits, np.array([ids.index(r.truth) for r in rows]), [r.lesion for r in rows])
