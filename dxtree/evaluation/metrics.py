"""How good are probabilities, over any number of weighted samples of the same lesions at once?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.calibration import calibration_error
from dxtree.evaluation.weighted import BoolArray, Statistic, add_ties, ratio, tie_starts, undefined


@dataclass(frozen=True)
class Metric:
    """One column of every table. `biased`: its resampled values lie systematically off (see `intervals`)."""

    name: str
    title: str
    definition: str
    higher_is_better: bool
    upper: float
    biased: bool = False


METRICS = (
    Metric(
        "accuracy",
        "accuracy",
        "share of lesions whose most probable class is the true one; the first class in order among equals",
        higher_is_better=True,
        upper=1.0,
    ),
    Metric(
        "balanced_accuracy",
        "balanced acc.",
        "mean recall over the classes that occur in the truth; in a resample, over those that occur in it",
        higher_is_better=True,
        upper=1.0,
    ),
    Metric(
        "auc_malignant",
        "AUC malignant",
        "area under the ROC curve of P(malignant) for malignant against all other lesions, ties counted half",
        higher_is_better=True,
        upper=1.0,
    ),
    Metric(
        "brier",
        "Brier",
        "squared error summed over classes, mean over lesions, 0 to 2 (Brier 1950); rows scaled to sum 1",
        higher_is_better=False,
        upper=2.0,
    ),
    Metric(
        "ece",
        "ECE",
        "expected calibration error of the top class (Guo et al. 2017) over 15 bins of equal mass (Nguyen "
        "and O'Connor 2015); an edge splits a lesion, equal confidences are pooled; rows scaled to sum 1",
        higher_is_better=False,
        upper=1.0,
        biased=True,
    ),
)
"""The metrics in the order of every output."""


@dataclass(frozen=True)
class Scored:
    """Scores and truth of lesions over one label set, each row with a truth.

    `scores`: rows x classes, >= 0, rows summing to 1 or less. `malignant`: P(malignant) a row, or `None`
    where the tree has no such node. `is_malignant`: 1, 0, or -1 where the label does not tell.
    """

    scores: FloatArray
    truth: IntArray
    malignant: FloatArray | None
    is_malignant: IntArray

    def select(self, rows: IntArray) -> Scored:
        """The same over some of the rows."""
        malignant = None if self.malignant is None else self.malignant[rows]
        return Scored(self.scores[rows], self.truth[rows], malignant, self.is_malignant[rows])

    def statistics(self) -> dict[str, Statistic]:
        """Every metric by its name, in the order of `METRICS`."""
        scaled = scaled_rows(self.scores)
        confidence, correct = self.top_label()
        return {
            "accuracy": weighted_mean(correct.astype(np.float64)),
            "balanced_accuracy": balanced_accuracy(correct, self.truth),
            "auc_malignant": undefined if self.malignant is None else auc(self.malignant, self.is_malignant),
            "brier": weighted_mean(squared_error(scaled, self.truth)),
            "ece": calibration_error(confidence, correct),
        }

    def top_label(self) -> tuple[FloatArray, BoolArray]:
        """Probability of the most probable class, and whether it is the true one; the first among equals."""
        if not self.scores.size:
            return np.zeros(len(self.truth)), np.zeros(len(self.truth), bool)
        scaled = scaled_rows(self.scores)
        return scaled.max(axis=1), np.asarray(self.scores.argmax(axis=1) == self.truth)


def value_of(statistic: Statistic, rows: int) -> float:
    """The statistic on the sample itself; NaN where it is not defined."""
    return float(statistic(np.ones((rows, 1)))[0])


def scaled_rows(scores: FloatArray) -> FloatArray:
    """Rows divided by their sum; a row without any mass says nothing and becomes uniform."""
    total = scores.sum(axis=1, keepdims=True)
    width = max(scores.shape[1], 1)
    return np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / width)


def squared_error(scores: FloatArray, truth: IntArray) -> FloatArray:
    """Sum over classes of (probability - truth)^2, a row: Brier's multi-class score, from 0 to 2."""
    error = scores.copy()
    error[np.arange(len(truth)), truth] -= 1
    return np.asarray((error**2).sum(axis=1))


def weighted_mean(values: FloatArray) -> Statistic:
    """The mean of a number a row."""
    return lambda weights: ratio(values @ weights, weights.sum(axis=0))


def balanced_accuracy(correct: BoolArray, truth: IntArray) -> Statistic:
    """Mean recall over the classes present (Brodersen et al. 2010, for any number of classes).

    A class that has vanished from a resample takes no part in that resample's mean.
    """
    present = np.unique(truth)
    member = (truth[None, :] == present[:, None]).astype(np.float64)
    hit = member * correct

    def at(weights: FloatArray) -> FloatArray:
        support = member @ weights
        recall = hit @ weights / np.where(support > 0, support, 1)
        return ratio(recall.sum(axis=0), (support > 0).sum(axis=0).astype(np.float64))

    return at


def auc(scores: FloatArray, truth: IntArray) -> Statistic:
    """P(a positive scores above a negative), ties counted half (Mann-Whitney); rows of truth -1 are left out.

    NaN where a resample has no positive or no negative.
    """
    rows = np.flatnonzero(truth >= 0)
    rows = rows[np.argsort(scores[rows], kind="stable")]
    starts = tie_starts(scores[rows])
    positive = (truth[rows] == 1)[:, None]

    def at(weights: FloatArray) -> FloatArray:
        if not len(rows):
            return undefined(weights)
        ordered = weights[rows]
        above = add_ties(ordered * positive, starts)
        below = add_ties(ordered * ~positive, starts)
        won = np.cumsum(below, axis=0) - below / 2
        return ratio((above * won).sum(axis=0), above.sum(axis=0) * below.sum(axis=0))

    return at
