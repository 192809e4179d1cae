"""How large would the index be if nothing had changed? Cases are dealt anew to reference and period.

Under no change the index is about chi-square with (bins - 1) degrees of freedom times (1/n + 1/m) (Yurdakul
2018): .18 on average for 100 cases against 100, so that the usual reading alone calls chance a drift. Here
the null is counted: whole cases are permuted, which keeps nodes together as they belong, and a table is
judged against the largest of all that stand out no more (Westfall and Young 1993, step-down), so that the
chance of any false alarm is the level. Bins are those of both sides together, since bins of one side would
know which side it is. Tables of few bins have longer tails; a cube root makes them comparable (Wilson and
Hilferty 1931).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxtree.drift.stability import OUTSIDE, FloatArray, IntArray, index_of

_ROWS = 2048
"""Cases that are dealt at a time; memory does not grow with more."""


@dataclass(frozen=True)
class Judged:
    """By table: what the index stays below in 95 of 100 deals, and the adjusted p value."""

    by_chance: FloatArray
    p: FloatArray


def judged(
    reference: IntArray, period: IntArray, widths: IntArray, *, permutations: int, seed: int
) -> Judged:
    """Judges tables of bins, (cases, tables) each, `widths` bins a table. A seed gives the same bits."""
    starts = np.concatenate([[0], np.cumsum(widths)[:-1]]).astype(np.int64)
    whole = np.concatenate([reference, period])
    total = _counted(np.ones((1, len(whole)), np.float32), whole, starts, int(widths.sum()))
    first = _counted(np.ones((1, len(reference)), np.float32), reference, starts, int(widths.sum()))
    dealt = _dealt(whole, len(reference), starts, int(widths.sum()), permutations, seed)
    every = np.concatenate([first, dealt])
    index = index_of(every, total - every, starts)
    root = np.cbrt(index)
    spread = root.std(axis=0)
    apart = np.divide(root - root.mean(axis=0), spread, out=np.zeros_like(root), where=spread > 1e-12)
    order = np.argsort(-apart[0], kind="stable")
    largest = np.maximum.accumulate(apart[:, order[::-1]], axis=1)[:, ::-1]
    p = np.empty(len(order))
    p[order] = np.maximum.accumulate((largest >= apart[0, order]).mean(axis=0))
    return Judged(
        by_chance=np.quantile(index[1:], 0.95, axis=0),
        p=np.where(spread > 1e-12, p, 1.0),
    )


def _dealt(
    whole: IntArray, size: int, starts: IntArray, width: int, permutations: int, seed: int
) -> FloatArray:
    """Counts of the reference, (permutations, width), each time with `size` of all cases drawn for it."""
    generator = np.random.default_rng(seed)
    left = np.full(permutations, size)
    found = np.zeros((permutations, width))
    for at in range(0, len(whole), _ROWS):
        rows = whole[at : at + _ROWS]
        others = len(whole) - at - left
        here = generator.hypergeometric(left, others, len(rows))
        places = np.broadcast_to(np.arange(len(rows)), (permutations, len(rows)))
        drawn = generator.permuted(places, axis=1) < here[:, None]
        found += _counted(drawn.astype(np.float32), rows, starts, width)
        left = left - here
    return found


def _counted(drawn: npt.NDArray[np.float32], rows: IntArray, starts: IntArray, width: int) -> FloatArray:
    """How many of the drawn cases, (deals, cases), are in each bin: (deals, width)."""
    found = np.zeros((len(drawn), width))
    for at in range(0, len(rows), _ROWS):
        part = rows[at : at + _ROWS]
        table = np.zeros((len(part), width), np.float32)
        case, column = np.nonzero(part != OUTSIDE)
        table[case, starts[column] + part[case, column]] = 1
        found += drawn[:, at : at + _ROWS] @ table
    return found
