"""How well do scores put positives above negatives? Areas, average precision, and shares at a fixed aim.

A lesion is called positive where its score is at least the threshold; lesions of equal score are called
together and nothing is interpolated between thresholds. Rows are sorted once. What a resample then needs is
the weight of the positives of each score, of the negatives tied with them and of those between two such
scores: one product of a sparse matrix with the weights, whatever is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.weighted import BoolArray, Shared, Statistic, ratio, undefined

_SLACK = 1e-12
"""A share counts as reached where it falls short by no more than rounding does."""


@dataclass(frozen=True)
class Steps:
    """Weights at the scores that positives have, lowest first: scores x resamples.

    `positive`: positives of that score. `tied`: negatives of that score, `None` where no score has both.
    `below`: negatives under it. `positives` and `negatives`: all of them, a resample.
    """

    positive: FloatArray
    tied: FloatArray | None
    below: FloatArray
    positives: FloatArray
    negatives: FloatArray

    def area(self) -> FloatArray:
        """P(a positive scores above a negative), ties counted half; NaN without a side."""
        won = self.below if self.tied is None else self.below + self.tied / 2
        return ratio(np.einsum("ij,ij->j", self.positive, won), self.positives * self.negatives)

    def precision(self) -> FloatArray:
        """Average precision: precision at each threshold, weighted by the recall that it adds."""
        found = self.called()
        share = found + (self.negatives - self.below)
        np.divide(found, share, out=share, where=share > 0)
        return ratio(np.einsum("ij,ij->j", self.positive, share), self.positives)

    def sensitivity_at(self, specificity: float) -> FloatArray:
        """The best sensitivity among thresholds that reach the specificity; NaN without a side."""
        enough = self.below >= specificity * self.negatives * (1 - _SLACK)
        first = enough.argmax(axis=0)[None, :]
        found = np.where(enough.any(axis=0), np.take_along_axis(self.called(), first, axis=0)[0], 0)
        return self._both_sides(ratio(found, self.positives))

    def specificity_at(self, sensitivity: float) -> FloatArray:
        """The best specificity among thresholds that reach the sensitivity; NaN without a side."""
        enough = self.called() >= sensitivity * self.positives * (1 - _SLACK)
        last = (len(enough) - 1 - enough[::-1].argmax(axis=0))[None, :]
        return self._both_sides(ratio(np.take_along_axis(self.below, last, axis=0)[0], self.negatives))

    def called(self) -> FloatArray:
        """Positives at or above each score."""
        return self.positives - np.cumsum(self.positive, axis=0) + self.positive

    def _both_sides(self, found: FloatArray) -> FloatArray:
        return np.where((self.positives > 0) & (self.negatives > 0), found, np.nan)


class Ranking:
    """Rows sorted by score, as a sparse matrix that turns weights into `Steps`.

    `scores` and `positive` are one a row; `rows` are the rows that take part. Raises nothing: without a
    positive there are no steps, and every statistic of them is NaN.
    """

    def __init__(self, scores: FloatArray, positive: BoolArray, rows: IntArray | None = None) -> None:
        from scipy.sparse import csr_matrix

        chosen = np.arange(len(scores)) if rows is None else rows
        order = chosen[np.argsort(scores[chosen], kind="stable")]
        ordered, hits = scores[order], positive[order]
        group = np.cumsum(np.diff(ordered, prepend=ordered[:1]) > 0)
        steps, step = np.unique(group[hits], return_inverse=True)
        self.steps = len(steps)
        slot = np.empty(len(order), np.int64)
        slot[hits] = step
        above = np.searchsorted(steps, group[~hits], "left")
        tied = above < self.steps
        tied[tied] = steps[above[tied]] == group[~hits][tied]
        self.has_ties = bool(tied.any())
        # Slots: positives of each step, then negatives under each and over the last, then tied ones.
        slot[~hits] = np.where(tied, 2 * self.steps + 1 + above, self.steps + above)
        slots = self.steps * (3 if self.has_ties else 2) + 1
        self.matrix: Any = csr_matrix(
            (np.ones(len(order)), (slot, order)), shape=(slots, len(scores)), dtype=np.float64
        )

    def __call__(self, weights: FloatArray) -> Steps:
        """The steps of every resample."""
        sums = self.matrix @ weights
        return self._steps(sums)

    def _steps(self, sums: FloatArray) -> Steps:
        count = self.steps
        positive, between = sums[:count], sums[count : 2 * count + 1]
        tied = sums[2 * count + 1 :] if self.has_ties else None
        below = np.cumsum(between[:-1], axis=0)
        negatives = between.sum(axis=0)
        if tied is not None:
            below[1:] += np.cumsum(tied[:-1], axis=0)
            negatives = negatives + tied.sum(axis=0)
        return Steps(positive, tied, below, positive.sum(axis=0), negatives)


NODE_MEASURES: Mapping[str, Any] = {
    "auc": Steps.area,
    "average_precision": Steps.precision,
    "sensitivity_at_90": partial(Steps.sensitivity_at, specificity=0.90),
    "sensitivity_at_95": partial(Steps.sensitivity_at, specificity=0.95),
    "specificity_at_95": partial(Steps.specificity_at, sensitivity=0.95),
}
"""What is asked of a node's probability; the shares are those that a screening test is asked for."""


def node_statistics(scores: FloatArray, truth: IntArray) -> dict[str, Statistic]:
    """Every one of `NODE_MEASURES` of one score a row; truth 1, 0, or -1 for rows that are left out."""
    rows = np.flatnonzero(truth >= 0)
    if not (truth[rows] == 1).any():
        return dict.fromkeys(NODE_MEASURES, undefined)
    ranking = Ranking(scores, truth == 1, rows)

    def make(weights: FloatArray) -> dict[str, FloatArray]:
        steps = ranking(weights)
        return {name: measure(steps) for name, measure in NODE_MEASURES.items()}

    shared = Shared(make)
    return {name: _pick(shared, name) for name in NODE_MEASURES}


def auc(scores: FloatArray, truth: IntArray) -> Statistic:
    """P(a positive scores above a negative), ties counted half (Mann-Whitney); rows of truth -1 are left out.

    NaN where a resample has no positive or no negative.
    """
    rows = np.flatnonzero(truth >= 0)
    if not (truth[rows] == 1).any():
        return undefined
    ranking = Ranking(scores, truth == 1, rows)
    return lambda weights: ranking(weights).area()


def against_rest(scores: FloatArray, truth: IntArray) -> dict[str, Statistic]:
    """`macro_auc` and `macro_average_precision`: each class present against the rest, their plain mean.

    `scores`: rows x classes. In a resample a class counts for the area where it and another occur, and for
    average precision where it occurs.
    """
    rankings: list[Ranking] = []

    def make(weights: FloatArray) -> dict[str, FloatArray]:
        if not rankings:  # sorted when first asked: most callers ask for other statistics alone
            rankings.extend(Ranking(scores[:, c], truth == c) for c in np.unique(truth).tolist())
        areas, precisions = [], []
        for ranking in rankings:
            steps = ranking(weights)
            areas.append(steps.area())
            precisions.append(steps.precision())
        return {
            "macro_auc": _plain_mean(areas, weights),
            "macro_average_precision": _plain_mean(precisions, weights),
        }

    shared = Shared(make)
    return {name: _pick(shared, name) for name in ("macro_auc", "macro_average_precision")}


def _pick(shared: Shared[dict[str, FloatArray]], name: str) -> Statistic:
    return lambda weights: shared(weights)[name]


def _plain_mean(by_class: Sequence[FloatArray], weights: FloatArray) -> FloatArray:
    """Over the classes that define it; NaN where none does."""
    if not by_class:
        return undefined(weights)
    values = np.stack(by_class)
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))
