"""Is acting on P(node) better than acting on everybody or on nobody, at each threshold somebody may hold?

Net benefit (Vickers and Elkin 2006): true positives less false positives at the exchange rate of the
threshold, as a share of all lesions. At threshold t one acted upon in vain costs t / (1 - t) of one found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import ContractError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.intervals import Interval, difference, sample
from dxtree.evaluation.metrics import Metric
from dxtree.evaluation.weighted import Statistic, ratio

THRESHOLDS = tuple(k / 100 for k in range(1, 100))
"""Probabilities from which somebody may want to act."""

_BENEFIT = Metric(
    "net_benefit", "net benefit", "see `dxtree.evaluation.decision_curve`", higher_is_better=True, upper=1.0
)


@dataclass(frozen=True)
class NetBenefit:
    """Net benefit at one threshold, against acting on nobody, which is 0.

    `acting`: of acting where the score reaches the threshold; `everybody`: of acting on all. `gain`: of
    `acting` over the better of everybody and nobody on the whole sample, paired.
    """

    threshold: float
    acting: Interval
    everybody: Interval
    gain: Interval


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit over thresholds. `left_out` counts rows whose truth is not known."""

    points: tuple[NetBenefit, ...]
    positives: int
    negatives: int
    left_out: int


def decision_curve(
    scores: FloatArray,
    truth: IntArray,
    groups: IntArray,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = 1000,
    seed: int = 0,
) -> DecisionCurve:
    """The curve of one score, with 95 % intervals from resamples of whole groups.

    `scores`: calibrated probabilities of the positive state, a row; `truth`: 1, 0, or -1 where it is not
    known; `groups`: see `group_index`. Raises `ContractError` for arrays that do not fit, a truth of another
    value, no row of known truth, or a threshold outside (0, 1).
    """
    _check(scores, truth, groups, thresholds)
    rows = np.flatnonzero(truth >= 0)
    scores, known = scores[rows], truth[rows]
    statistics: dict[tuple[str, float], Statistic] = {("nobody", 0.0): _nobody}
    for t in thresholds:
        statistics["acting", t] = net_benefit(scores, known, t)
        statistics["everybody", t] = net_benefit(np.ones(len(known)), known, t)
    drawn = sample(statistics, groups[rows], resamples=resamples, seed=seed)
    nobody = drawn["nobody", 0.0]
    points = []
    for t in thresholds:
        acting, everybody = drawn["acting", t], drawn["everybody", t]
        best = everybody if everybody.value > 0 else nobody
        # A difference to nobody, since an interval of its own would end at 0.
        pairs = ((acting, nobody), (everybody, nobody), (acting, best))
        points.append(NetBenefit(t, *(difference(one, other, _BENEFIT)[0] for one, other in pairs)))
    positives = int(known.sum())
    return DecisionCurve(tuple(points), positives, len(known) - positives, len(truth) - len(known))


def net_benefit(scores: FloatArray, truth: IntArray, threshold: float) -> Statistic:
    """TP / n - FP / n * t / (1 - t), where those with a score of `threshold` or more are acted upon."""
    acted = (scores >= threshold).astype(np.float64)
    worth = acted * np.where(truth == 1, 1.0, -threshold / (1 - threshold))
    return lambda weights: ratio(worth @ weights, weights.sum(axis=0))


def _nobody(weights: FloatArray) -> FloatArray:
    return np.zeros(weights.shape[1])


def _check(scores: FloatArray, truth: IntArray, groups: IntArray, thresholds: Sequence[float]) -> None:
    if scores.ndim != 1 or scores.shape != truth.shape or len(groups) != len(truth):
        raise ContractError(
            f"scores {scores.shape}, truth {truth.shape} and {len(groups)} groups are of one length"
        )
    if not np.isfinite(scores).all() or not np.isin(truth, (-1, 0, 1)).all() or not (truth >= 0).any():
        raise ContractError("scores are finite, truth is 1, 0 or -1, and at least one is not -1")
    if not thresholds or not all(0 < t < 1 for t in thresholds):
        raise ContractError("thresholds are probabilities between 0 and 1, at least one")
