"""What does it cost to answer? Error among the lesions that are answered, when the least sure are left out.

Two ways to leave out: answer only where the most probable class of a level is probable enough (selective
prediction, Geifman and El-Yaniv 2017), or answer every lesion at the deepest node that is probable enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import ContractError
from core.taxonomy import IntArray
from core.tree import FloatArray, TreeSums
from dxtree.evaluation.calibration import interpolated
from dxtree.evaluation.intervals import Interval, interval, sample
from dxtree.evaluation.metrics import Metric
from dxtree.evaluation.weighted import BoolArray, Shared, Statistic, add_ties, ratio, tie_starts, undefined

Curve = tuple[FloatArray, FloatArray]

COVERAGES = tuple(k / 20 for k in range(1, 21))
"""Shares of lesions answered at which a curve states its risk with an interval."""

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Probabilities that a node must reach to be answered with."""

_RISK = Metric("risk", "risk", "share of wrong answers among the answered", higher_is_better=False, upper=1.0)
_SHARE = Metric("coverage", "coverage", "share of lesions answered", higher_is_better=True, upper=1.0)


@dataclass(frozen=True)
class RiskCoverage:
    """Risk over coverage, the surest lesions answered first.

    `coverage`, `risk` and `threshold`: one point for each confidence that occurs, falling; lesions of equal
    confidence are answered together. `area`: under the curve, the mean risk over all coverages. `bands`: the
    risk at `COVERAGES`, with 95 % intervals.
    """

    lesions: int
    coverage: FloatArray
    risk: FloatArray
    threshold: FloatArray
    area: Interval
    bands: tuple[Interval, ...]


@dataclass(frozen=True)
class DepthPoint:
    """What answering with the deepest node of probability `threshold` or more does.

    `answered`: share of lesions with an answer below the root. Among those: `depth`, the mean level of the
    answer, and `error`, the share whose label does not lie at or below it. `untold` counts answered lesions
    whose label lies above the answer, which does not tell; they are in no error.
    """

    threshold: float
    answered: Interval
    depth: Interval
    error: Interval
    untold: int


def risk_coverage(
    confidence: FloatArray, correct: BoolArray, groups: IntArray, *, resamples: int = 1000, seed: int = 0
) -> RiskCoverage:
    """The curve of one classifier over lesions, with intervals from resamples of whole groups.

    `confidence`: the probability of the most probable class, a row; `correct`: whether it is the true one;
    `groups`: see `group_index`. Raises `ContractError` for arrays that do not fit or without a row.
    """
    _check(confidence, correct, groups)
    curve = _curve(confidence, correct)
    mass, wrong = curve(np.ones((len(confidence), 1)))
    statistics = {"area": _area(curve), **{f"{c:g}": _risk(curve, c) for c in COVERAGES}}
    drawn = sample(statistics, groups, resamples=resamples, seed=seed)
    return RiskCoverage(
        lesions=len(confidence),
        coverage=mass[:, 0] / len(confidence),
        risk=wrong[:, 0] / mass[:, 0],
        threshold=np.unique(confidence)[::-1],
        area=interval(drawn["area"], _RISK),
        bands=tuple(interval(drawn[f"{c:g}"], _RISK) for c in COVERAGES),
    )


def area_under_risk(confidence: FloatArray, correct: BoolArray) -> Statistic:
    """Area under the risk-coverage curve (AURC), 0 to 1.

    Among lesions of equal confidence errors grow evenly, and the area is the exact integral of that curve: no
    order of the lesions changes it, and weights mean what repeated rows mean. The mean risk over the k surest
    lesions, k from 1 to n, which others report, differs from it by about log(n) / n.
    """
    return _area(_curve(confidence, correct))


def risk_at(confidence: FloatArray, correct: BoolArray, coverage: float) -> Statistic:
    """Share of errors among the surest lesions that make up this share of all; an edge splits a lesion."""
    return _risk(_curve(confidence, correct), coverage)


def answer_by_depth(
    sums: TreeSums,
    values: FloatArray,
    labels: Sequence[str],
    groups: IntArray,
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[DepthPoint, ...]:
    """Coverage, depth and error of `TreeProbabilities.most_specific` for each threshold, with intervals.

    `values`: lesions x training classes; `labels`: the node of each lesion. Raises `ContractError` for arrays
    that do not fit or a threshold outside (0, 1], `UnknownNode` for a foreign label.
    """
    if len(values) != len(labels) or len(groups) != len(labels) or not len(labels):
        raise ContractError(
            f"{len(values)} rows of values, {len(labels)} labels and {len(groups)} groups are of one length"
        )
    if not all(0 < t <= 1 for t in thresholds):
        raise ContractError(f"thresholds are {tuple(thresholds)}; probabilities in (0, 1] are needed")
    places = sums.partition.taxonomy.positions(labels)
    answers = [deepest(sums, values, t) for t in thresholds]
    statistics: dict[tuple[float, str], Statistic] = {}
    untold = {}
    for t, node in zip(thresholds, answers, strict=True):
        depth = sums.partition.taxonomy.depth[node].astype(np.float64)
        right, told = _judged(sums, node, places)
        answered = (depth > 0).astype(np.float64)
        untold[t] = int((answered * ~told).sum())
        statistics[t, "answered"] = _mean_over(answered, np.ones(len(depth)))
        statistics[t, "depth"] = _mean_over(depth, answered)
        statistics[t, "error"] = _mean_over((~right).astype(np.float64), answered * told)
    drawn = sample(statistics, groups, resamples=resamples, seed=seed)
    deep = Metric(
        "depth", "depth", "mean level", higher_is_better=True, upper=float(sums.partition.taxonomy.max_depth)
    )
    return tuple(
        DepthPoint(
            t,
            interval(drawn[t, "answered"], _SHARE),
            interval(drawn[t, "depth"], deep, "no lesion is answered"),
            interval(drawn[t, "error"], _RISK, "no lesion is answered"),
            untold[t],
        )
        for t in thresholds
    )


def deepest(sums: TreeSums, values: FloatArray, at_least: float) -> IntArray:
    """Place in the taxonomy of the deepest node that reaches the threshold, a row; the root always does."""
    taxonomy = sums.partition.taxonomy
    found = np.zeros(len(values), np.int64)
    here = np.zeros(len(taxonomy), bool)
    here[taxonomy.positions(sums.nodes)] = True
    for depth in np.unique(taxonomy.depth[here]).tolist()[1:]:
        nodes = sums.level(depth)
        table = sums.of(values, nodes)
        best = table.argmax(axis=1)
        reached = table[np.arange(len(table)), best] >= at_least
        found = np.where(reached, taxonomy.positions(nodes)[best], found)
    return found


def _judged(sums: TreeSums, node: IntArray, label: IntArray) -> tuple[BoolArray, BoolArray]:
    """Whether the answer covers the label, and whether the label tells: it does not from above the answer."""
    end = sums.partition.taxonomy.end
    right = (node <= label) & (label < end[node])
    above = (label < node) & (node < end[label])
    return right, ~above


def _mean_over(values: FloatArray, counted: FloatArray) -> Statistic:
    return lambda weights: ratio((values * counted) @ weights, counted @ weights)


def _curve(confidence: FloatArray, correct: BoolArray) -> Shared[Curve]:
    """Mass and errors of the surest lesions, cumulated over runs of equal confidence; runs x resamples."""
    order = np.argsort(-confidence, kind="stable")
    starts = tie_starts(-confidence[order])
    wrong = (~correct[order]).astype(np.float64)[:, None]

    def make(weights: FloatArray) -> Curve:
        ordered = weights[order]
        return np.cumsum(add_ties(ordered, starts), axis=0), np.cumsum(
            add_ties(ordered * wrong, starts), axis=0
        )

    return Shared(make)


def _area(curve: Shared[Curve]) -> Statistic:
    def at(weights: FloatArray) -> FloatArray:
        if not len(weights):
            return undefined(weights)
        mass, wrong = curve(weights)
        before, errors = (np.concatenate([np.zeros((1, x.shape[1])), x[:-1]]) for x in (mass, wrong))
        width = mass - before
        rate = (wrong - errors) / np.where(width > 0, width, 1)
        # The integral of (errors + rate (m - before)) / m over m from `before` to `mass`.
        log = np.log1p(width / np.where(before > 0, before, 1)) * (before > 0)
        return ratio((rate * width + (errors - rate * before) * log).sum(axis=0), mass[-1])

    return at


def _risk(curve: Shared[Curve], coverage: float) -> Statistic:
    def at(weights: FloatArray) -> FloatArray:
        if not len(weights):
            return undefined(weights)
        mass, wrong = curve(weights)
        edge = coverage * mass[-1:]
        return ratio(interpolated(edge, mass, wrong)[0], edge[0])

    return at


def _check(confidence: FloatArray, correct: BoolArray, groups: IntArray) -> None:
    if confidence.ndim != 1 or confidence.shape != correct.shape or len(groups) != len(confidence):
        raise ContractError(
            f"confidence {confidence.shape}, correct {correct.shape} and {len(groups)} groups are of one "
            "length"
        )
    if not len(confidence) or not np.isfinite(confidence).all():
        raise ContractError("confidence is finite, and there is at least one row")
