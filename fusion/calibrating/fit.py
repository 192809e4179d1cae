"""How is a calibrator fitted and chosen? By log loss, on answers of fusers that did not see the lesion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from core.errors import TrainingError, did_you_mean
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.tree import FloatArray
from fusion.balance import UNSEEN
from fusion.calibrating.affine import DIRICHLET, VECTOR, Affine, Ridge, fit_affine, logs
from fusion.calibrating.answers import Answers
from fusion.calibrating.calibrator import KINDS, Calibrator, Scale, to_files
from fusion.calibrating.choice import Fit, chosen, losses
from fusion.calibrating.isotonic import fit_curves
from fusion.calibrating.tree import fit_tree
from fusion.calibration import fit_temperature
from fusion.rows import IntArray
from fusion.training import versions

CHOICES = tuple(k for k in KINDS if k != "dirichlet")
"""What `calibration_bundle` chooses from. On MILK10k and HAM10000 Dirichlet calibration took 20 times as long
as the tree and was .02 lower in log loss at best, .01 higher at worst."""

Files = tuple[Mapping[str, Any], Mapping[str, bytes]]
"""Manifest and files of a bundle."""


def fit_calibrator(
    kind: str,
    probabilities: FloatArray,
    truth: IntArray,
    partition: Partition,
    weight: FloatArray | None = None,
) -> Calibrator:
    """Fits one kind of calibrator; the order of the rows does not change a bit of it.

    `probabilities`: rows x classes, cross-fitted. `truth`: the place of the true class of each row.
    `weight`: that of each row, 1 in all for a lesion; without it every row is one. Nothing in it is random.
    Raises `TrainingError` for another kind, no rows, or arrays that do not fit each other.
    """
    if kind not in KINDS:
        raise TrainingError(
            f"no calibrator {kind!r}; there are {', '.join(KINDS)}{did_you_mean(kind, KINDS)}"
        )
    given = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    _check(probabilities, truth, given, partition)
    if kind == "identity":
        return Calibrator(kind, partition)
    order = np.lexsort((given, *probabilities.T, truth))
    ordered = probabilities[order], truth[order], given[order]
    counts = np.bincount(ordered[1], ordered[2], len(partition.ids)) + UNSEEN
    mixture = LeafProbabilities.from_weights(partition.ids, counts)
    return Calibrator(kind, partition, _FITS[kind](*ordered, partition), mixture)


def calibration_bundle(
    answers: Answers,
    fuser: str,
    cohort: str,
    partition: Partition,
    *,
    kinds: Sequence[str] = CHOICES,
    licence: str | None = None,
) -> Files:
    """The chosen one of some kinds, fitted on all answers; `cohort` says whose lesions those are.

    Raises what `losses` and `fit_calibrator` raise.
    """
    by_name = losses(answers, {kind: _fit(kind, partition) for kind in kinds})
    kind = chosen(answers, by_name, [k for k in KINDS if k in kinds])
    found = fit_calibrator(kind, answers.probabilities, answers.truth, partition, answers.weight)
    total = answers.weight.sum()
    told = {
        "cohort": cohort,
        "lesions": len(np.unique(answers.lesion)),
        "folds": len(np.unique(answers.fold)),
        "log_loss": {name: float(answers.weight @ loss / total) for name, loss in by_name.items()},
        "library_versions": versions(["safetensors", "scikit-learn", "scipy"]),
    }
    return to_files(found, fuser, told | ({"licence": licence} if licence else {}))


def _fit(kind: str, partition: Partition) -> Fit:
    def fit(answers: Answers) -> Callable[[FloatArray], FloatArray]:
        given = answers.probabilities, answers.truth, partition, answers.weight
        return fit_calibrator(kind, *given).apply_rows

    return fit


def _check(probabilities: FloatArray, truth: IntArray, weight: FloatArray, partition: Partition) -> None:
    rows, classes = len(truth), len(partition.ids)
    if not rows:
        raise TrainingError("there are no answers to fit a calibrator on")
    if probabilities.shape != (rows, classes) or weight.shape != (rows,):
        raise TrainingError(
            f"probabilities {probabilities.shape} and weights {weight.shape} do not fit {rows} lesions and "
            f"{classes} classes"
        )
    if not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise TrainingError("probabilities must be finite and >= 0")
    if not np.isfinite(weight).all() or (weight < 0).any() or not weight.any():
        raise TrainingError("weights must be finite, >= 0 and not all 0")
    if truth.min() < 0 or truth.max() >= classes:
        raise TrainingError(f"a truth must be the place of a class, from 0 to {classes - 1}")


def _temperature(rows: FloatArray, truth: IntArray, weight: FloatArray, partition: Partition) -> Affine:
    size = len(partition.ids)
    return Affine(np.full(size, 1 / fit_temperature(logs(rows), truth, weight)), np.zeros(size))


def _scaled(
    ridge: Ridge,
    rows: FloatArray,
    truth: IntArray,
    weight: FloatArray,
    partition: Partition,  # noqa: ARG001 - fits of the tree need it
) -> Affine:
    return fit_affine(logs(rows), truth, weight, ridge)


_FITS: Mapping[str, Callable[[FloatArray, IntArray, FloatArray, Partition], Scale]] = {
    "temperature": _temperature,
    "tree": fit_tree,
    "vector": partial(_scaled, VECTOR),
    "isotonic": fit_curves,
    "dirichlet": partial(_scaled, DIRICHLET),
}
