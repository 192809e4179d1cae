"""At which probability should each class be called, where one half is what a scorer cuts at?

The official form of the ISIC challenges calls a class where its probability is above one half (see
`counting.official_f1`); a rare class may be best called far below. Cuts are fitted on some lesions and folded
into the probabilities of others; fitted and judged on the same lesions they are optimistic.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import CohortError
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.counting import HALF

PULL = 5.0
"""Lesions of a class at which its cut lies half way, in log odds, between one half and the best one.

Of 0, 2, 5, 10, 20 and 50 the one with the largest mean gain in macro F1 over one half among those that lost
in no setting of a simulation (docs/reference/metrics.md): without any pull, cuts of overconfident or half
corrected probabilities lost on small samples."""


@dataclass(frozen=True)
class Thresholds:
    """A class is called where its probability is above its cut, in (0, 1).

    `lesions`: how many of each class the fit had.
    """

    cuts: FloatArray
    lesions: IntArray

    def fold(self, scores: FloatArray) -> FloatArray:
        """Each class's own probability with its cut moved to one half: lesions x classes, in [0, 1].

        Two straight pieces through (0, 0), (cut, .5) and (1, 1), so that the order within a class stays. Rows
        are not scaled to sum 1 afterwards, which would undo it: they are no distribution.

        Raises `CohortError` for another number of classes or a score outside [0, 1].
        """
        _check(scores, len(self.cuts))
        low = HALF * (scores / self.cuts)
        high = HALF + (1 - HALF) * ((scores - self.cuts) / (1 - self.cuts))
        # Rounding must not carry a score above its cut down to one half.
        high = np.clip(high, np.nextafter(HALF, 1), 1)
        return np.asarray(np.where(scores > self.cuts, high, low))


def fit_thresholds(scores: FloatArray, truth: IntArray) -> Thresholds:
    """The cut of each class with the best F1 on these lesions, pulled towards one half by `PULL`.

    `scores`: lesions x classes, in [0, 1]; `truth`: index of each lesion's class. Lesions of equal score are
    called together; the cut lies half way to the next lower score, and the highest of equally good ones is
    taken. A class without a lesion keeps one half. Raises `CohortError` for lengths that differ, a score
    outside [0, 1] and a truth that is no class.
    """
    _check(scores, scores.shape[-1])
    if truth.shape != (len(scores),):
        raise CohortError(f"truth has shape {truth.shape} for {len(scores)} lesions; one a lesion is needed")
    width = scores.shape[1]
    if ((truth < 0) | (truth >= width)).any():
        raise CohortError(f"a truth is none of the {width} classes; leave out lesions without one")
    lesions = np.bincount(truth, minlength=width).astype(np.int64)
    if not len(scores):
        return Thresholds(np.full(width, HALF), lesions)
    best = _best_cuts(scores, truth, lesions)
    pulled = lesions / (lesions + PULL) * np.log(best / (1 - best))
    return Thresholds(np.asarray(1 / (1 + np.exp(-pulled))), lesions)


def _best_cuts(scores: FloatArray, truth: IntArray, lesions: IntArray) -> FloatArray:
    """The cut of the best F1, a class; all columns at once."""
    rows, width = scores.shape
    order = np.argsort(-scores, axis=0, kind="stable")
    ordered = np.take_along_axis(scores, order, axis=0)
    hits = np.cumsum(truth[order] == np.arange(width), axis=0)
    called = np.arange(1, rows + 1)[:, None]
    below = np.concatenate([ordered[1:], np.zeros((1, width))])
    reachable = ordered > below
    f1 = np.where(reachable, 2 * hits / (called + lesions), -1.0)
    best = f1.argmax(axis=0)
    columns = np.arange(width)
    upper, lower = ordered[best, columns], below[best, columns]
    cut = (upper + lower) / 2
    # Where two scores have nothing between them, or all are 0, the cut is the lower one, kept inside (0, 1).
    cut = np.where(cut < upper, cut, lower)
    least = np.finfo(np.float64).tiny
    return np.asarray(np.clip(cut, least, 1 - np.finfo(np.float64).epsneg))


def _check(scores: FloatArray, width: int) -> None:
    if scores.ndim != 2 or scores.shape[1] != width:
        raise CohortError(f"scores are lesions x {width} classes, not {scores.shape}")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise CohortError("a score is not in [0, 1]; leave out lesions without an answer")
