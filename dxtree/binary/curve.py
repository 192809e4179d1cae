"""Which sensitivity costs which specificity, and where should the threshold lie?

A lesion is called positive where its score is at least the threshold. Lesions of equal score are called
together, so that every point of a curve can be reached.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import CohortError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation import METRICS, Interval
from dxtree.evaluation.intervals import group_index, interval, sample
from dxtree.evaluation.ranking import auc
from dxtree.evaluation.weighted import BoolArray

AUC_METRIC = next(m for m in METRICS if m.name == "auc_malignant")


@dataclass(frozen=True)
class Curve:
    """Sensitivity and specificity at every threshold, from "never positive" to "always positive".

    `thresholds` fall: +inf, then each score that occurs, once. `sensitivity` rises from 0 to 1 and
    `specificity` falls from 1 to 0, both in steps that lesions of equal score take together. `auc` is
    P(a positive scores above a negative), ties counted half, with its 95 % interval; where the two sides are
    separated without an error the bootstrap says [1, 1], which is too sure.
    """

    thresholds: FloatArray
    sensitivity: FloatArray
    specificity: FloatArray
    positives: int
    negatives: int
    auc: Interval

    def specificity_at(self, sensitivity: float) -> float:
        """The best specificity among thresholds that reach this sensitivity, in [0, 1]: no interpolation."""
        check_share("sensitivity", sensitivity)
        return float(self.specificity[np.argmax(self.sensitivity >= sensitivity)])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the threshold +inf, "never positive", is `None`."""
        return {
            "positives": self.positives,
            "negatives": self.negatives,
            "auc": self.auc.to_dict(),
            "thresholds": [None, *self.thresholds[1:].tolist()],
            "sensitivity": self.sensitivity.tolist(),
            "specificity": self.specificity.tolist(),
        }


def curve_of(
    scores: FloatArray,
    truth: IntArray,
    *,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Curve:
    """The curve of scores against truth (1 positive, 0 negative), one a lesion.

    `groups` names what the bootstrap draws as a whole (default: each row by itself). Raises `CohortError`
    for a score that is not finite, a truth that is neither 1 nor 0, or a side without any lesion.
    """
    positive = checked(scores, truth)
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], positive[order]
    last = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    called = np.arange(1, len(ordered) + 1)[last]
    found = np.cumsum(hits)[last]
    total, others = int(positive.sum()), int((~positive).sum())
    statistic = auc(scores, truth)
    sampled = sample({"auc": statistic}, rows_of(groups, scores), resamples=resamples, seed=seed)["auc"]
    return Curve(
        thresholds=np.concatenate([[np.inf], ordered[last]]),
        sensitivity=np.concatenate([[0.0], found / total]),
        specificity=np.concatenate([[1.0], (others - (called - found)) / others]),
        positives=total,
        negatives=others,
        auc=interval(sampled, AUC_METRIC),
    )


def rows_of(groups: Sequence[Hashable] | None, scores: FloatArray) -> IntArray:
    """Number of the group of each row. Raises `CohortError` for another length."""
    if groups is None:
        return np.arange(len(scores))
    if len(groups) != len(scores):
        raise CohortError(f"{len(groups)} groups are given for {len(scores)} scores; one a row is needed")
    return group_index(groups)


def checked(scores: FloatArray, truth: IntArray) -> BoolArray:
    """Which rows are positive. Raises what `curve_of` raises."""
    if scores.ndim != 1 or scores.shape != truth.shape:
        raise CohortError(f"scores {scores.shape} and truth {truth.shape} must be two rows of one length")
    if not np.isfinite(scores).all():
        raise CohortError("a score is not finite; leave out lesions without an answer")
    if not np.isin(truth, (0, 1)).all():
        raise CohortError("truth holds 1 for positive and 0 for negative lesions, and nothing else")
    positive = np.asarray(truth == 1)
    if positive.all() or not positive.any():
        side = "negative" if len(truth) and positive.all() else "positive"
        raise CohortError(f"there is no {side} lesion; a curve needs both sides, so choose other lesions")
    return positive


def check_share(name: str, value: float) -> None:
    """Raises `CohortError` for a share outside [0, 1]."""
    if not 0 <= value <= 1:
        raise CohortError(f"{name} is {value!r}; a share from 0 to 1 is needed, such as .9")
