"""Which sums over weighted rows do the metrics share?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from core.taxonomy import IntArray
from core.tree import FloatArray

BoolArray = npt.NDArray[np.bool_]

Statistic = Callable[[FloatArray], FloatArray]
"""Weights, rows x resamples, to one value a resample; NaN where it is not defined.

Weights of 1 give the value on the sample itself, multinomial counts a bootstrap. Everything is float64.
"""

T = TypeVar("T")


class Shared(Generic[T]):
    """A result that several statistics take from the same weights; made once while they are asked in a row.

    Only the last result of all is held, so that many statistics hold no more memory than one. Weights are
    told apart by identity: they must not be changed between two calls.
    """

    _held: ClassVar[tuple[object, FloatArray, Any] | None] = None

    def __init__(self, make: Callable[[FloatArray], T]) -> None:
        self._make = make

    def __call__(self, weights: FloatArray) -> T:
        """The result for these weights."""
        held = Shared._held
        if held is None or held[0] is not self or held[1] is not weights:
            Shared._held = held = (self, weights, self._make(weights))
        return cast(T, held[2])


def undefined(weights: FloatArray) -> FloatArray:
    """The statistic that no sample defines."""
    return np.full(weights.shape[1], np.nan)


def weighted_mean(values: FloatArray) -> Statistic:
    """The mean of a number a row."""
    return lambda weights: ratio(values @ weights, weights.sum(axis=0))


def tie_starts(ordered: FloatArray) -> IntArray:
    """Where each run of equal values starts in a sorted array."""
    if not len(ordered):
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(np.diff(ordered) > 0) + 1]).astype(np.int64)


def add_ties(values: FloatArray, starts: IntArray) -> FloatArray:
    """Sums the rows of each run."""
    return values if len(starts) == len(values) else np.asarray(np.add.reduceat(values, starts, axis=0))


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """The quotient; NaN where the denominator is 0."""
    safe = np.where(denominator > 0, denominator, 1)
    return np.asarray(np.where(denominator > 0, numerator / safe, np.nan), np.float64)
