"""How sure is a number, and is one pipeline better than another on the same lesions?

The bootstrap draws whole lesions with replacement (Efron 1979); a lesion of several rows is drawn with all of
them. Pipelines are compared on the same draws. Draws are counts that weight the rows, so that a thousand
resamples are a few matrix products. How draws turn into bounds: `bounds`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from core.errors import CohortError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.bounds import CONFIDENCE, ROUNDING, Method, bounds
from dxtree.evaluation.bounds import Sampled as Sampled
from dxtree.evaluation.metrics import Metric, value_of
from dxtree.evaluation.weighted import Statistic

_CELLS = 128_000
"""Weights held at once, rows x resamples of one chunk: 1 MB, which the second cache of a core holds."""

Key = TypeVar("Key", bound=Hashable)
Verdict = Literal["better", "worse", "no difference", "undefined"]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval; `None` with a `reason` where it is not defined.

    A reason beside two bounds says why they are not of the method that was asked for.
    """

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `reason` stands there only where something is not defined."""
        found: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return found if self.reason is None else {**found, "reason": self.reason}


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


def jackknife_weights(groups: IntArray, blocks: int | None = None) -> Iterator[FloatArray]:
    """Weights that leave out one group each, rows x groups, in chunks.

    With fewer `blocks` than groups each leaves out a block of them: group k lies in block k modulo `blocks`.
    """
    size = int(groups.max(initial=-1)) + 1
    if blocks is not None and blocks < size:
        groups, size = groups % blocks, blocks
    width = max(1, _CELLS // max(len(groups), 1))
    for start in range(0, size, width):
        left_out = np.arange(start, min(start + width, size))
        yield (groups[:, None] != left_out[None, :]).astype(np.float64)


def sample(
    statistics: Mapping[Key, Statistic],
    groups: IntArray,
    *,
    resamples: int,
    seed: int,
    jackknife: bool = False,
    blocks: int | None = None,
) -> dict[Key, Sampled]:
    """Every statistic on the sample and on the same resamples of it.

    `jackknife`: on the sample less each group in turn as well, which BCa intervals need; or less each of
    `blocks` blocks of groups, which gives nearly the same acceleration for less work.
    """
    rows = len(groups)
    drawn = _over(statistics, draw_weights(groups, resamples, seed))
    left_out = _over(statistics, jackknife_weights(groups, blocks)) if jackknife else {}
    return {k: Sampled(value_of(s, rows), drawn[k], left_out.get(k)) for k, s in statistics.items()}


def interval(
    sampled: Sampled,
    metric: Metric,
    reason: str = "not defined on these lesions",
    null: FloatArray | None = None,
    method: Method = "percentile",
) -> Interval:
    """The 95 % interval of a metric.

    Percentiles of the resamples (Efron and Tibshirani 1993, ch. 13), or BCa (see `bounds`). For a `biased`
    metric, whose resamples lie further off than the sample itself, the basic interval (Davison and Hinkley
    1997, ch. 5) mirrors them about the value and takes that bias out; it is widened to hold the value, and to
    hold zero where the value is one that chance alone makes of a true value of zero (`null`: draws of that).
    """
    if not np.isfinite(sampled.value):
        return Interval(None, None, None, reason)
    found = bounds(sampled, "basic" if metric.biased else method)
    if found is None:
        return Interval(sampled.value, None, None, "most resamples do not define it")
    low, high = max(found.low, 0.0), min(found.high, metric.upper)
    if null is not None and sampled.value <= np.quantile(null, (1 + CONFIDENCE) / 2):
        low = 0.0
    return Interval(sampled.value, min(low, sampled.value), max(high, sampled.value), found.reason)


def difference(
    first: Sampled, second: Sampled, metric: Metric, method: Method = "percentile"
) -> tuple[Interval, Verdict]:
    """First minus second over the same resamples, and what that says about the first.

    "better" and "worse" need an interval that excludes zero. Intervals are not widened for the number of
    comparisons made: of many, one in twenty excludes zero by chance.
    """
    paired = first.minus(second)
    if not np.isfinite(paired.value):
        return Interval(None, None, None, "one of the two is not defined"), "undefined"
    found = bounds(paired, "basic" if metric.biased else method)
    if found is None:
        return Interval(paired.value, None, None, "most resamples do not define it"), "undefined"
    low, high = min(found.low, paired.value), max(found.high, paired.value)
    sign = (low > ROUNDING) - (high < -ROUNDING)
    verdict: Verdict = "no difference"
    if sign:
        verdict = "better" if (sign > 0) == metric.higher_is_better else "worse"
    return Interval(paired.value, low, high, found.reason), verdict


def wilson(share: FloatArray, size: float) -> tuple[FloatArray, FloatArray]:
    """The 95 % interval of shares of `size` lesions each (Wilson 1927)."""
    z = 1.959963984540054
    middle = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    # A share of 0 or 1 is its own bound, and rounding must not put it outside.
    return np.clip(middle - half, 0, share), np.clip(middle + half, share, 1)


def _over(statistics: Mapping[Key, Statistic], chunks: Iterator[FloatArray]) -> dict[Key, FloatArray]:
    """Every statistic over every column of weights."""
    found: dict[Key, list[FloatArray]] = {key: [] for key in statistics}
    for weights in chunks:
        for key, statistic in statistics.items():
            found[key].append(statistic(weights))
    return {key: np.concatenate(parts or [np.zeros(0)]) for key, parts in found.items()}
