"""How small is the chance of such a difference if there were none? And after how many comparisons?

McNemar's and DeLong's tests need independent rows, so they refuse two rows of one lesion; `bootstrap_p` draws
whole lesions and works for every metric.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from core.errors import CohortError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.bounds import CONFIDENCE, ROUNDING, Method, Sampled, p_of_zero
from dxtree.evaluation.intervals import Interval
from dxtree.evaluation.metrics import Metric
from dxtree.evaluation.weighted import BoolArray

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class McNemar:
    """Lesions that only the first or only the second answers rightly, and what chance makes of them.

    `exact`: two-sided binomial p, conservative. `mid`: the mid-p, exact less the chance of just this split,
    which keeps nearer to its level (Fagerland, Lydersen and Laake 2013).
    """

    only_first: int
    only_second: int
    exact: float
    mid: float


@dataclass(frozen=True)
class DeLong:
    """Two areas on the same lesions. `difference` is first less second, with its normal interval.

    `p` is two-sided; `None` where the variance of the difference is 0 and the difference is not.
    """

    first: Interval
    second: Interval
    difference: Interval
    p: float | None


def mcnemar(first: BoolArray, second: BoolArray, lesions: Sequence[Hashable]) -> McNemar:
    """Compares two answers that are right or wrong on the same lesions (McNemar 1947).

    `first` and `second`: one a row, `lesions` its lesion. Raises `CohortError` for other lengths and for two
    rows of one lesion.
    """
    from scipy.stats import binom

    _independent(lesions, first, second)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    less, both = min(only_first, only_second), only_first + only_second
    twice = 2 * float(binom.cdf(less, both, 0.5))
    mid = twice - float(binom.pmf(less, both, 0.5))
    return McNemar(only_first, only_second, min(twice, 1.0), min(mid, 1.0))


def delong(first: FloatArray, second: FloatArray, truth: IntArray, lesions: Sequence[Hashable]) -> DeLong:
    """Compares the areas of two scores on the same lesions (DeLong, DeLong and Clarke-Pearson 1988).

    `truth`: 1 positive, 0 negative, -1 left out. By midranks (Sun and Xu 2014), n log n. Raises `CohortError`
    for other lengths, a score that is not finite, fewer than two lesions a side, and two rows of one lesion.
    """
    from scipy.special import erfc

    _independent(lesions, first, second, truth)
    scores = np.stack([first, second])
    if not np.isfinite(scores).all():
        raise CohortError("a score is not finite; leave out lesions without an answer")
    positive, negative = scores[:, truth == 1], scores[:, truth == 0]
    if min(positive.shape[1], negative.shape[1]) < 2:
        raise CohortError(
            f"{positive.shape[1]} positive and {negative.shape[1]} negative lesions; two of each are needed"
        )
    areas, covariance = _areas(positive, negative)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    between = float(areas[0] - areas[1])
    deviation = float(np.sqrt(max(variance, 0.0)))
    p: float | None = 1.0 if abs(between) <= ROUNDING else None
    if deviation > ROUNDING:
        p = float(erfc(abs(between) / deviation / np.sqrt(2)))
    one, other = (
        _normal(float(a), float(v), 0.0, 1.0) for a, v in zip(areas, np.diag(covariance), strict=True)
    )
    return DeLong(one, other, _normal(between, variance, -1.0, 1.0), p)


def bootstrap_p(
    first: Sampled, second: Sampled, metric: Metric, method: Method = "percentile"
) -> float | None:
    """Two-sided p of a paired difference over the same resamples, of the interval that `difference` gives.

    Below .05 where that interval excludes zero; see `bounds.p_of_zero`. `None` where either side, or most
    resamples, do not define it.
    """
    return p_of_zero(first.minus(second), "basic" if metric.biased else method)


def holm(table: Mapping[Key, float | None]) -> dict[Key, float | None]:
    """Each p adjusted for all that the table holds (Holm 1979): below .05, one error in twenty *tables*.

    `None` stays `None` and counts for nothing. Raises `CohortError` for a p outside [0, 1].
    """
    known = {key: p for key, p in table.items() if p is not None}
    if any(not 0 <= p <= 1 for p in known.values()):
        raise CohortError("a p-value lies outside [0, 1]; give None where a comparison is not defined")
    found: dict[Key, float | None] = dict.fromkeys(table)
    worst = 0.0
    for k, key in enumerate(sorted(known, key=known.__getitem__)):
        worst = max(worst, min(1.0, (len(known) - k) * known[key]))
        found[key] = worst
    return found


def _areas(positive: FloatArray, negative: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Areas of the scores, and their covariance: from the share of the other side that each lesion beats."""
    from scipy.stats import rankdata

    ones, zeros = positive.shape[1], negative.shape[1]
    among_all = rankdata(np.concatenate([positive, negative], axis=1), axis=1)
    beaten = (among_all[:, :ones] - rankdata(positive, axis=1)) / zeros
    lost = 1 - (among_all[:, ones:] - rankdata(negative, axis=1)) / ones
    return beaten.mean(axis=1), np.cov(beaten) / ones + np.cov(lost) / zeros


def _normal(value: float, variance: float, least: float, most: float) -> Interval:
    from scipy.special import ndtri

    half = float(ndtri((1 + CONFIDENCE) / 2)) * float(np.sqrt(max(variance, 0.0)))
    return Interval(value, max(value - half, least), min(value + half, most))


def _independent(lesions: Sequence[Hashable], *columns: BoolArray | FloatArray | IntArray) -> None:
    """Raises `CohortError` where the rows are not one a lesion."""
    if any(column.shape != (len(lesions),) for column in columns):
        shapes = ", ".join(str(column.shape) for column in columns)
        raise CohortError(f"columns of shape {shapes} for {len(lesions)} lesions; one row a lesion is needed")
    repeated = len(lesions) - len(set(lesions))
    if repeated:
        raise CohortError(
            f"{repeated} rows repeat a lesion, and this test takes rows for independent; keep one row a "
            "lesion, or take bootstrap_p, which draws whole lesions"
        )
