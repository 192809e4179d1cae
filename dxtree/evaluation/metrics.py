"""How good are probabilities, over any number of weighted samples of the same lesions at once?

A *statistic* takes weights, rows x resamples, and gives one number a resample: NaN where it is not defined.
Weights of 1 give the value on the sample itself, multinomial counts a bootstrap. Everything is float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.taxonomy import IntArray
from core.tree import FloatArray

BoolArray = npt.NDArray[np.bool_]

Statistic = Callable[[FloatArray], FloatArray]
"""Weights, rows x resamples, to one value a resample."""

BINS = 15
"""Bins of the calibration error (Guo et al., ICML 2017, use 15)."""


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
        True,
        1.0,
    ),
    Metric(
        "balanced_accuracy",
        "balanced acc.",
        "mean recall over the classes that occur in the truth; in a resample, over those that occur in it",
        True,
        1.0,
    ),
    Metric(
        "auc_malignant",
        "AUC malignant",
        "area under the ROC curve of P(malignant) for malignant against all other lesions, ties counted half",
        True,
        1.0,
    ),
    Metric(
        "brier",
        "Brier",
        "squared error summed over classes, mean over lesions, 0 to 2 (Brier 1950); rows scaled to sum 1",
        False,
        2.0,
    ),
    Metric(
        "ece",
        "ECE",
        "expected calibration error of the top class (Guo et al. 2017) over 15 bins of equal mass (Nguyen and "
        "O'Connor 2015); a lesion on an edge is split, equal confidences are pooled; rows scaled to sum 1",
        False,
        1.0,
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
    return lambda weights: _ratio(values @ weights, weights.sum(axis=0))


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
        return _ratio(recall.sum(axis=0), (support > 0).sum(axis=0).astype(np.float64))

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
        return _ratio((above * won).sum(axis=0), above.sum(axis=0) * below.sum(axis=0))

    return at


def calibration_error(confidence: FloatArray, correct: BoolArray, bins: int = BINS) -> Statistic:
    """Mean over equal-mass bins of |share correct - mean confidence|.

    Bins cut the lesions, sorted by confidence, at multiples of mass / bins. A lesion that an edge cuts
    counts in both bins by its parts, and equal confidences share their outcomes, so that no order of the
    lesions changes the value and weights mean exactly what repeated rows mean.
    """
    order = np.argsort(confidence, kind="stable")
    starts = tie_starts(confidence[order])
    gap = (correct - confidence)[order, None]

    def at(weights: FloatArray) -> FloatArray:
        if not len(order):
            return undefined(weights)
        ordered = weights[order]
        mass = np.cumsum(add_ties(ordered, starts), axis=0)
        total = np.cumsum(add_ties(ordered * gap, starts), axis=0)
        return _ratio(np.abs(per_bin(mass, total, bins)).sum(axis=0), mass[-1])

    return at


def calibrated_errors(
    confidence: FloatArray, *, resamples: int, seed: int, bins: int = BINS
) -> FloatArray:
    """Calibration errors of a perfectly calibrated model with these confidences: what chance alone makes.

    Outcomes are drawn from the confidences themselves (consistency resampling, Broecker and Smith 2007).
    """
    rows = len(confidence)
    if not rows:
        return np.zeros(0)
    generator = np.random.default_rng(seed)
    ordered = np.sort(confidence)
    starts = tie_starts(ordered)
    found = []
    width = max(1, 1_000_000 // rows)
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        gap = (generator.random((rows, columns)) < ordered[:, None]) - ordered[:, None]
        mass = np.cumsum(add_ties(np.ones((rows, columns)), starts), axis=0)
        total = np.cumsum(add_ties(gap, starts), axis=0)
        found.append(np.abs(per_bin(mass, total, bins)).sum(axis=0) / rows)
    return np.concatenate(found)


def undefined(weights: FloatArray) -> FloatArray:
    """The statistic that no sample defines."""
    return np.full(weights.shape[1], np.nan)


def tie_starts(ordered: FloatArray) -> IntArray:
    """Where each run of equal values starts in a sorted array."""
    if not len(ordered):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(np.diff(ordered) > 0) + 1]).astype(np.int64)


def add_ties(values: FloatArray, starts: IntArray) -> FloatArray:
    """Sums the rows of each run."""
    return values if len(starts) == len(values) else np.asarray(np.add.reduceat(values, starts, axis=0))


def interpolated(edges: FloatArray, mass: FloatArray, total: FloatArray) -> FloatArray:
    """`total` as a piecewise linear function of `mass` from (0, 0), read at `edges`; all by column."""
    columns = np.arange(mass.shape[1])[None, :]
    low, high = np.zeros(edges.shape, np.int64), np.full(edges.shape, len(mass) - 1)
    for _ in range(int(len(mass)).bit_length()):  # the first row whose mass reaches the edge, by halving
        middle = (low + high) // 2
        short = mass[middle, columns] < edges
        low, high = np.where(short, np.minimum(middle + 1, high), low), np.where(short, high, middle)
    before = low - 1
    start = np.where(before < 0, 0.0, mass[before, columns])
    base = np.where(before < 0, 0.0, total[before, columns])
    span = mass[low, columns] - start
    part = np.clip((edges - start) / np.where(span > 0, span, 1), 0, 1)
    return np.asarray(base + part * (total[low, columns] - base))


def per_bin(mass: FloatArray, total: FloatArray, bins: int) -> FloatArray:
    """Sums of a quantity within each equal-mass bin, from cumulated mass and cumulated quantity."""
    edges = mass[-1] * np.arange(bins + 1)[:, None] / bins
    return np.asarray(np.diff(interpolated(edges, mass, total), axis=0))


def reliability(confidence: FloatArray, correct: BoolArray, bins: int = BINS) -> tuple[FloatArray, FloatArray]:
    """Mean confidence and share correct within each equal-mass bin, the least confident bin first."""
    order = np.argsort(confidence, kind="stable")
    starts = tie_starts(confidence[order])
    columns = np.stack([np.ones(len(order)), confidence, correct], axis=1)[order]
    mass, sure, right = np.cumsum(add_ties(columns, starts), axis=0).T[:, :, None]
    size = len(order) / bins
    return per_bin(mass, sure, bins)[:, 0] / size, per_bin(mass, right, bins)[:, 0] / size


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    safe = np.where(denominator > 0, denominator, 1)
    return np.asarray(np.where(denominator > 0, numerator / safe, np.nan), np.float64)
