"""Between which bounds does a value lie, given what resamples make of it?

Three ways, all at 95 %. *percentile*: quantiles of the resamples. *basic*: those mirrored about the value.
*bca*: quantiles at levels that are corrected for the bias of the resamples and for a spread that changes with
the value, the "acceleration" (Efron 1987), which comes from leaving out one group at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.errors import CohortError
from core.tree import FloatArray

CONFIDENCE = 0.95
LEAST_DEFINED = 0.5
"""Share of resamples that must define a statistic before an interval is stated."""

ROUNDING = 1e-9
"""A difference nearer to zero than this is no difference."""

Method = Literal["percentile", "bca"]
"""What a caller chooses; "basic" is for biased metrics alone."""


@dataclass(frozen=True)
class Sampled:
    """A statistic on the sample itself and on every resample; NaN where not defined.

    `left_out`: without each group in turn; `None` where nobody asked.
    """

    value: float
    draws: FloatArray
    left_out: FloatArray | None = None

    def minus(self, other: Sampled) -> Sampled:
        """The difference on the same sample, resamples and groups."""
        left_out = None
        if self.left_out is not None and other.left_out is not None:
            left_out = self.left_out - other.left_out
        return Sampled(self.value - other.value, self.draws - other.draws, left_out)


@dataclass(frozen=True)
class Bounds:
    """Two bounds, and why they are percentiles where BCa was asked for."""

    low: float
    high: float
    reason: str | None = None


def bounds(sampled: Sampled, method: Literal["percentile", "basic", "bca"]) -> Bounds | None:
    """The bounds at 95 %, or `None` where fewer than half of the resamples define the statistic.

    Raises `CohortError` where "bca" is asked of what was sampled without the jackknife.
    """
    defined = _defined(sampled)
    if defined is None:
        return None
    levels = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    reason = None
    if method == "bca":
        found = _correction(sampled, defined)
        if isinstance(found, str):
            reason = f"percentiles, not BCa: {found}"
        else:
            levels = found.levels(levels)
    low, high = np.quantile(defined, levels).tolist()
    if method == "basic":
        low, high = 2 * sampled.value - high, 2 * sampled.value - low
    return Bounds(low, high, reason)


def p_of_zero(sampled: Sampled, method: Literal["percentile", "basic", "bca"]) -> float | None:
    """Two-sided p at which the interval of this method would just reach zero, `None` where there is none.

    For BCa the achieved level of Efron and Tibshirani (1993, eq. 15.34). No p is below that of half a
    resample beyond zero, so about 1 / resamples. Raises as `bounds` does.
    """
    from scipy.special import ndtr, ndtri

    defined = _defined(sampled)
    if defined is None or not np.isfinite(sampled.value):
        return None
    draws = 2 * sampled.value - defined if method == "basic" else defined
    under = np.mean(draws < -ROUNDING) + np.mean(np.abs(draws) <= ROUNDING) / 2
    share = (under * len(draws) + 0.5) / (len(draws) + 1)
    found = _correction(sampled, defined) if method == "bca" else ""
    level = share if isinstance(found, str) else float(ndtr(found.uncorrected(float(ndtri(share)))))
    return float(min(1.0, 2 * max(min(level, 1 - level), 0.5 / (len(draws) + 1))))


@dataclass(frozen=True)
class _Correction:
    """Bias z0 and acceleration a of BCa (Efron 1987)."""

    bias: float
    acceleration: float

    def levels(self, levels: FloatArray) -> FloatArray:
        """Levels of the resamples' quantiles that stand for these levels."""
        from scipy.special import ndtr, ndtri

        shifted = self.bias + ndtri(levels)
        return np.asarray(ndtr(self.bias + shifted / (1 - self.acceleration * shifted)))

    def uncorrected(self, z: float) -> float:
        """The reverse, in normal quantiles: which level the resamples' quantile z stands for."""
        shifted = z - self.bias
        return shifted / (1 + self.acceleration * shifted) - self.bias


def _defined(sampled: Sampled) -> FloatArray | None:
    defined = sampled.draws[np.isfinite(sampled.draws)]
    if len(defined) < LEAST_DEFINED * len(sampled.draws) or not len(defined):
        return None
    return defined


def _correction(sampled: Sampled, defined: FloatArray) -> _Correction | str:
    """Bias and acceleration, or the reason why there are none."""
    from scipy.special import ndtri

    if sampled.left_out is None:
        raise CohortError("BCa intervals need `sample(..., jackknife=True)`")
    if np.ptp(defined) <= ROUNDING:
        return "all resamples are equal"
    slack = 1e-12 * max(1.0, abs(sampled.value))  # draws that equal the value but for rounding count half
    under = np.mean(defined < sampled.value - slack) + np.mean(defined <= sampled.value + slack)
    if not 0 < under < 2:
        return "every resample lies on one side of the value"
    if not np.isfinite(sampled.left_out).all():
        return "it is not defined without one of the lesions"
    deviation = sampled.left_out.mean() - sampled.left_out
    spread = float((deviation**2).sum())
    if spread <= ROUNDING**2:
        return "leaving out a lesion changes nothing"
    found = _Correction(float(ndtri(under / 2)), float((deviation**3).sum()) / (6 * spread**1.5))
    reach = found.bias + ndtri(np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]))
    if (1 - found.acceleration * reach <= 0).any():
        return "the acceleration is too large"
    return found
