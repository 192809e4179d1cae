"""How far do two distributions lie apart? The population stability index over ten bins of the reference.

    PSI = sum over bins of (p - r) ln(p / r)

with p and r the shares of the period and of the reference: the symmetric Kullback-Leibler divergence
(Jeffreys 1946). Half a case is added to every bin, so that an empty one counts as rare and not as impossible.
The usual reading (Siddiqi 2006): below .1 little, to .25 some, above much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BINS = 10
SOME, MUCH = 0.1, 0.25
FLOOR = 0.5
"""Cases added to every bin."""

OUTSIDE = -1
"""Bin of a value that is not known; it is counted nowhere."""


def edges_of(given: FloatArray, every: FloatArray, bins: int = BINS) -> FloatArray:
    """Where bins end, the last aside: at the quantiles of `given`, or behind each of few different values.

    `every` are the values of both sides. Where they are no more than `bins` different ones, each is a bin of
    its own.
    """
    known = given[~np.isnan(given)]
    values = np.unique(every[~np.isnan(every)])
    if len(values) <= bins:
        edges = values[:-1]
    elif not len(known):
        edges = values[:0]
    else:
        inner = np.arange(1, bins) / bins
        edges = np.unique(np.quantile(known, inner, method="inverted_cdf"))
        if len(edges) == 1:  # nearly all is one value: what is below it is not the same as it
            edges = np.array([np.nextafter(edges[0], -np.inf), edges[0]])
    return np.asarray(edges, np.float64)


def placed(values: FloatArray, edges: FloatArray) -> IntArray:
    """The bin of every value; NaN is `OUTSIDE`."""
    return np.where(np.isnan(values), OUTSIDE, np.searchsorted(edges, values, "left"))


def stability_index(reference: FloatArray, period: FloatArray, bins: int = BINS) -> float:
    """PSI over bins that end at the quantiles of the reference; NaN is counted nowhere."""
    edges = edges_of(reference, np.concatenate([reference, period]), bins)
    counts = [
        np.bincount(placed(side[~np.isnan(side)], edges), minlength=len(edges) + 1).astype(np.float64)
        for side in (reference, period)
    ]
    return float(index_of(counts[0], counts[1], np.zeros(1, np.int64))[0])


def index_of(reference: FloatArray, period: FloatArray, starts: IntArray) -> FloatArray:
    """PSI of many tables at once: counts (..., all bins), tables beginning at `starts`, to (..., tables)."""
    widths = np.diff(np.append(starts, reference.shape[-1]))

    def shares(counts: FloatArray) -> FloatArray:
        smooth = counts + FLOOR
        totals = np.add.reduceat(smooth, starts, axis=-1)
        return np.asarray(smooth / np.repeat(totals, widths, axis=-1), np.float64)

    p, r = shares(period), shares(reference)
    return np.asarray(np.add.reduceat((p - r) * np.log(p / r), starts, axis=-1), np.float64)
