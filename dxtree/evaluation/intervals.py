"""How sure is a number, and is one pipeline better than another on the same lesions?

The bootstrap draws whole lesions with replacement (Efron 1979); a lesion of several rows is drawn with all of
them. Pipelines are compared on the same draws. Draws are counts that weight the rows, so that a thousand
resamples are a few matrix products.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from core.errors import CohortError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.metrics import Metric, value_of
from dxtree.evaluation.weighted import Statistic

CONFIDENCE = 0.95
LEAST_DEFINED = 0.5
"""Share of resamples that must define a statistic before an interval is stated."""

ROUNDING = 1e-9
"""A difference nearer to zero than this is no difference."""

_CELLS = 1_000_000
"""Weights held at once: rows x resamples of one chunk."""

Key = TypeVar("Key", bound=Hashable)
Verdict = Literal["better", "worse", "no difference", "undefined"]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; `None` with a `reason` where it is not defined."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `reason` stands there only where something is not defined."""
        found: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return found if self.reason is None else {**found, "reason": self.reason}


@dataclass(frozen=True)
class Sampled:
    """A statistic on the sample itself and on every resample; NaN where not defined."""

    value: float
    draws: FloatArray


def group_index(names: Sequence[Hashable]) -> IntArray:
    """Number of the group of each row, in the order of first appearance."""
    seen: dict[Hashable, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], np.int64)


def draw_weights(groups: IntArray, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each row stands in each resample, rows x resamples, in chunks; rows of a group go together.

    Raises `CohortError` for fewer than one resample.
    """
    if resamples < 1:
        raise CohortError(f"resamples is {resamples}; at least 1 is needed")
    size = int(groups.max(initial=-1)) + 1
    if not size:
        yield np.zeros((0, resamples))
        return
    generator = np.random.default_rng(seed)
    width = max(1, _CELLS // len(groups))
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        drawn = generator.integers(size, size=(columns, size))
        cells = drawn * columns + np.arange(columns)[:, None]
        counts = np.bincount(cells.ravel(), minlength=size * columns).reshape(size, columns)
        yield counts[groups].astype(np.float64)


def sample(
    statistics: Mapping[Key, Statistic], groups: IntArray, *, resamples: int, seed: int
) -> dict[Key, Sampled]:
    """Every statistic on the sample and on the same resamples of it."""
    draws: dict[Key, list[FloatArray]] = {key: [] for key in statistics}
    for weights in draw_weights(groups, resamples, seed):
        for key, statistic in statistics.items():
            draws[key].append(statistic(weights))
    rows = len(groups)
    return {k: Sampled(value_of(s, rows), np.concatenate(draws[k])) for k, s in statistics.items()}


def interval(
    sampled: Sampled,
    metric: Metric,
    reason: str = "not defined on these lesions",
    null: FloatArray | None = None,
) -> Interval:
    """The 95 % interval of a metric.

    Percentiles of the resamples (Efron and Tibshirani 1993, ch. 13). For a `biased` metric, whose
    resamples lie further off than the sample itself, the basic interval (Davison and Hinkley 1997, ch. 5)
    mirrors them about the value and takes that bias out; it is widened to hold the value, and to hold zero
    where the value is one that chance alone makes of a true value of zero (`null`: draws of that).
    """
    if not np.isfinite(sampled.value):
        return Interval(None, None, None, reason)
    found = _bounds(sampled, metric.biased)
    if found is None:
        return Interval(sampled.value, None, None, "most resamples do not define it")
    low, high = max(found[0], 0.0), min(found[1], metric.upper)
    if null is not None and sampled.value <= np.quantile(null, (1 + CONFIDENCE) / 2):
        low = 0.0
    return Interval(sampled.value, min(low, sampled.value), max(high, sampled.value))


def difference(first: Sampled, second: Sampled, metric: Metric) -> tuple[Interval, Verdict]:
    """First minus second over the same resamples, and what that says about the first.

    "better" and "worse" need an interval that excludes zero. Intervals are not widened for the number of
    comparisons made: of many, one in twenty excludes zero by chance.
    """
    paired = Sampled(first.value - second.value, first.draws - second.draws)
    if not np.isfinite(paired.value):
        return Interval(None, None, None, "one of the two is not defined"), "undefined"
    found = _bounds(paired, metric.biased)
    if found is None:
        return Interval(paired.value, None, None, "most resamples do not define it"), "undefined"
    low, high = min(found[0], paired.value), max(found[1], paired.value)
    sign = (low > ROUNDING) - (high < -ROUNDING)
    verdict: Verdict = "no difference"
    if sign:
        verdict = "better" if (sign > 0) == metric.higher_is_better else "worse"
    return Interval(paired.value, low, high), verdict


def wilson(share: FloatArray, size: float) -> tuple[FloatArray, FloatArray]:
    """The 95 % interval of shares of `size` lesions each (Wilson 1927)."""
    z = 1.959963984540054
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return np.maximum(middle - half, 0), np.minimum(middle + half, 1)


def _bounds(sampled: Sampled, biased: bool) -> tuple[float, float] | None:
    defined = sampled.draws[np.isfinite(sampled.draws)]
    if len(defined) < LEAST_DEFINED * len(sampled.draws) or not len(defined):
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(q) for q in np.quantile(defined, [tail, 1 - tail]))
    return (2 * sampled.value - high, 2 * sampled.value - low) if biased else (low, high)
