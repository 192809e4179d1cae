"""Does a probability of .8 come true in eight of ten lesions? Calibration error and reliability table."""

from __future__ import annotations

import numpy as np

from core.tree import FloatArray
from dxtree.evaluation.weighted import BoolArray, Statistic, add_ties, ratio, tie_starts, undefined

BINS = 15
"""Bins of the calibration error (Guo et al., ICML 2017, use 15)."""

_CELLS = 1_000_000


def calibration_error(confidence: FloatArray, correct: BoolArray, bins: int = BINS) -> Statistic:
    """Mean over equal-mass bins of |share correct - mean confidence|.

    Bins cut the lesions, sorted by confidence, at multiples of mass / bins. A lesion that an edge cuts
    counts in both bins by its parts, and equal confidences share their outcomes, so that no order of the
    lesions changes the value and weights mean exactly what repeated rows mean.
    """
    order = np.argsort(confidence, kind="stable")
    starts = tie_starts(confidence[order])
    gap = (correct - confidence)[order, None]

    def at(weights: FloatArray) -> FloatArray:
        if not len(order):
            return undefined(weights)
        ordered = weights[order]
        mass = np.cumsum(add_ties(ordered, starts), axis=0)
        total = np.cumsum(add_ties(ordered * gap, starts), axis=0)
        return ratio(np.abs(per_bin(mass, total, bins)).sum(axis=0), mass[-1])

    return at


def reliability(
    confidence: FloatArray, correct: BoolArray, bins: int = BINS
) -> tuple[FloatArray, FloatArray]:
    """Mean confidence and share correct within each equal-mass bin, the least confident bin first."""
    order = np.argsort(confidence, kind="stable")
    starts = tie_starts(confidence[order])
    columns = np.stack([np.ones(len(order)), confidence, correct], axis=1)[order]
    mass, sure, right = np.cumsum(add_ties(columns, starts), axis=0).T[:, :, None]
    size = len(order) / bins
    return per_bin(mass, sure, bins)[:, 0] / size, per_bin(mass, right, bins)[:, 0] / size


def calibrated_errors(confidence: FloatArray, *, resamples: int, seed: int, bins: int = BINS) -> FloatArray:
    """Calibration errors of a perfectly calibrated model with these confidences: what chance alone makes.

    Outcomes are drawn from the confidences themselves (consistency resampling, Broecker and Smith 2007).
    """
    rows = len(confidence)
    if not rows:
        return np.zeros(0)
    generator = np.random.default_rng(seed)
    ordered = np.sort(confidence)
    starts = tie_starts(ordered)
    found = []
    width = max(1, _CELLS // rows)
    for start in range(0, resamples, width):
        columns = min(width, resamples - start)
        gap = (generator.random((rows, columns)) < ordered[:, None]) - ordered[:, None]
        mass = np.cumsum(add_ties(np.ones((rows, columns)), starts), axis=0)
        total = np.cumsum(add_ties(gap, starts), axis=0)
        found.append(np.abs(per_bin(mass, total, bins)).sum(axis=0) / rows)
    return np.concatenate(found)


def per_bin(mass: FloatArray, total: FloatArray, bins: int) -> FloatArray:
    """Sums of a quantity within each equal-mass bin, from cumulated mass and cumulated quantity."""
    edges = mass[-1] * np.arange(bins + 1)[:, None] / bins
    return np.asarray(np.diff(interpolated(edges, mass, total), axis=0))


def interpolated(edges: FloatArray, mass: FloatArray, total: FloatArray) -> FloatArray:
    """`total` as a piecewise linear function of `mass` from (0, 0), read at `edges`; all by column."""
    columns = np.arange(mass.shape[1])[None, :]
    low, high = np.zeros(edges.shape, np.int64), np.full(edges.shape, len(mass) - 1)
    for _ in range(len(mass).bit_length()):  # the first row whose mass reaches the edge, by halving
        middle = (low + high) // 2
        short = mass[middle, columns] < edges
        low, high = np.where(short, np.minimum(middle + 1, high), low), np.where(short, high, middle)
    before = low - 1
    start = np.where(before < 0, 0.0, mass[before, columns])
    base = np.where(before < 0, 0.0, total[before, columns])
    span = mass[low, columns] - start
    part = np.clip((edges - start) / np.where(span > 0, span, 1), 0, 1)
    return np.asarray(base + part * (total[low, columns] - base))
