"""At which threshold does a test reach the sensitivity, or the specificity, that is asked of it?

A threshold that is chosen on the lesions it is judged on is *optimistic*: it fits their chance as well. A
number to be trusted has its threshold from other lesions, such as out-of-fold scores of the training part;
`threshold_from` takes those.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.binary.curve import check_share, checked, curve_of, rows_of
from dxtree.evaluation import Interval, Metric
from dxtree.evaluation.intervals import interval, sample
from dxtree.evaluation.weighted import BoolArray, Statistic, add_ties, ratio, tie_starts, weighted_mean

Aim = Literal["sensitivity", "specificity"]
Source = Literal["these lesions", "other lesions"]

SENSITIVITIES = (0.80, 0.90, 0.95)
SPECIFICITIES = (0.80, 0.90, 0.95)
"""What is asked by default."""

_SHARE = Metric("share", "share", "share of lesions", higher_is_better=True, upper=1.0)
_BY_CHOICE = "set by the choice of the threshold on these very lesions"


@dataclass(frozen=True)
class OperatingPoint:
    """One threshold and what it does; a lesion is called positive where its score is at least `threshold`.

    `aim` is at least `asked`, with the best of the other. `chosen_on` says whose scores the threshold comes
    from. Chosen on "these lesions", the aim holds by construction and has no interval, and the interval of
    the other one takes the choice along: each resample chooses its own threshold. Chosen on "other lesions",
    the threshold is fixed, both have intervals, and the aim may be missed.
    """

    aim: Aim
    asked: float
    threshold: float
    sensitivity: Interval
    specificity: Interval
    chosen_on: Source

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the threshold +inf, "never positive", is `None`."""
        return {
            "aim": self.aim,
            "asked": self.asked,
            "threshold": None if np.isinf(self.threshold) else self.threshold,
            "sensitivity": self.sensitivity.to_dict(),
            "specificity": self.specificity.to_dict(),
            "chosen_on": self.chosen_on,
        }


def operating_points(
    scores: FloatArray,
    truth: IntArray,
    *,
    sensitivities: Sequence[float] = SENSITIVITIES,
    specificities: Sequence[float] = (),
    threshold_from: tuple[FloatArray, IntArray] | None = None,
    groups: Sequence[Hashable] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[OperatingPoint, ...]:
    """One point for each sensitivity, then one for each specificity, in the order given.

    `threshold_from`: scores and truth of other lesions, from the same model and task, on which the thresholds
    are chosen; without it they are chosen on the lesions they are judged on, which is optimistic.

    Raises what `curve_of` raises, for either pair, and `CohortError` for a share outside [0, 1].
    """
    positive = checked(scores, truth)
    asked: list[tuple[Aim, float]] = [("sensitivity", s) for s in sensitivities]
    asked += [("specificity", s) for s in specificities]
    for aim, value in asked:
        check_share(aim, value)
    rows = rows_of(groups, scores)
    source = threshold_from or (scores, truth)
    chosen = {pair: threshold_for(*source, *pair) for pair in asked}
    statistics: dict[tuple[Aim, float, str], Statistic] = {}
    for (aim, value), threshold in chosen.items():
        called = scores >= threshold
        free = None if threshold_from else _rechosen(scores, positive, aim, value)
        statistics[aim, value, "sensitivity"] = _sensitivity(called, positive, free, aim)
        statistics[aim, value, "specificity"] = _specificity(called, positive, free, aim)
    found = sample(statistics, rows, resamples=resamples, seed=seed)
    points = []
    for (aim, value), threshold in chosen.items():
        stated = {name: interval(found[aim, value, name], _SHARE) for name in ("sensitivity", "specificity")}
        if threshold_from is None:
            stated[aim] = Interval(stated[aim].value, None, None, _BY_CHOICE)
        on: Source = "other lesions" if threshold_from else "these lesions"
        points.append(OperatingPoint(aim, value, threshold, stated["sensitivity"], stated["specificity"], on))
    return tuple(points)


def threshold_for(scores: FloatArray, truth: IntArray, aim: Aim, asked: float) -> float:
    """The threshold that reaches `asked` of `aim` on these lesions with the best of the other.

    It is one of the scores, or +inf ("never positive") where a specificity can be had in no other way.
    Errors are those of `operating_points`.
    """
    check_share(aim, asked)
    curve = curve_of(scores, truth, resamples=1)
    if aim == "sensitivity":
        return float(curve.thresholds[np.argmax(curve.sensitivity >= asked)])
    return float(curve.thresholds[np.flatnonzero(curve.specificity >= asked)[-1]])


def _sensitivity(called: BoolArray, positive: BoolArray, free: Statistic | None, aim: Aim) -> Statistic:
    return free if free and aim == "specificity" else _share(called, positive)


def _specificity(called: BoolArray, positive: BoolArray, free: Statistic | None, aim: Aim) -> Statistic:
    return free if free and aim == "sensitivity" else _share(~called, ~positive)


def _share(right: BoolArray, among: BoolArray) -> Statistic:
    """Share of the lesions of one side that are called rightly."""
    mean = weighted_mean(right[among].astype(np.float64))
    return lambda weights: mean(weights[among])


def _rechosen(scores: FloatArray, positive: BoolArray, aim: Aim, asked: float) -> Statistic:
    """The other one's share where every resample chooses its own threshold for `asked` of `aim`."""
    # Sensitivity grows from the highest score down, specificity from the lowest up: one sweep serves both.
    swept = -scores if aim == "sensitivity" else scores
    order = np.argsort(swept, kind="stable")
    starts = tie_starts(swept[order])
    gained = (positive if aim == "sensitivity" else ~positive)[order, None]

    def at(weights: FloatArray) -> FloatArray:
        ordered = weights[order]
        got = np.cumsum(add_ties(ordered * gained, starts), axis=0)
        paid = np.cumsum(add_ties(ordered * ~gained, starts), axis=0)
        got, paid = (np.concatenate([np.zeros((1, weights.shape[1])), x]) for x in (got, paid))
        enough = got >= asked * got[-1] * (1 - 1e-12)
        here = np.take_along_axis(paid, enough.argmax(axis=0)[None, :], axis=0)[0]
        return np.where(got[-1] > 0, ratio(paid[-1] - here, paid[-1]), np.nan)

    return at
