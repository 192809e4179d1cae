"""How often is the answer right, class by class?"""

from __future__ import annotations

import numpy as np

from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.weighted import BoolArray, Statistic, ratio, undefined

HALF = 0.5
"""Cut of the official form: a class is called where its probability is above (ISIC challenge scoring 5.6)."""


def balanced_accuracy(correct: BoolArray, truth: IntArray) -> Statistic:
    """Mean recall over the classes present (Brodersen et al. 2010, for any number of classes).

    A class that has vanished from a resample takes no part in that resample's mean.
    """
    member = _members(truth, np.unique(truth))
    hit = member * correct

    def at(weights: FloatArray) -> FloatArray:
        support = member @ weights
        recall = hit @ weights / np.where(support > 0, support, 1)
        return ratio(recall.sum(axis=0), (support > 0).sum(axis=0).astype(np.float64))

    return at


def macro_f1(answer: IntArray, truth: IntArray) -> Statistic:
    """Mean F1 over the classes present, each lesion answered by one class (van Rijsbergen 1979).

    A class that is never answered has F1 0. One that occurs in no truth takes no part, though answers that
    name it cost the recall of others; in a resample, likewise.
    """
    present = np.unique(truth)
    return _f1(_members(answer, present), _members(truth, present), absent_counts=False)


def official_f1(scores: FloatArray, truth: IntArray) -> Statistic:
    """Mean F1 over all classes, each class called by itself where its probability is above one half.

    A lesion may be called for no class. A class that occurs and is never called has F1 0; one that neither
    occurs nor is called has F1 1, as in the official scorer.
    """
    classes = np.arange(scores.shape[1])
    return _f1((scores > HALF).T.astype(np.float64), _members(truth, classes), absent_counts=True)


def _members(classes: IntArray, among: IntArray) -> FloatArray:
    """Classes x rows: 1 where the row is of the class."""
    return np.asarray(classes[None, :] == among[:, None]).astype(np.float64)


def _f1(called: FloatArray, member: FloatArray, *, absent_counts: bool) -> Statistic:
    """2 TP / (called + members), the mean over classes; 1 where both are 0 if `absent_counts`."""
    if not member.size:
        return undefined
    hit = called * member
    either = called + member

    def at(weights: FloatArray) -> FloatArray:
        size = either @ weights
        found = 2 * (hit @ weights)
        np.divide(found, size, out=found, where=size > 0)
        if absent_counts:
            return np.asarray(np.where(size > 0, found, 1).mean(axis=0))
        there = member @ weights > 0
        return ratio((found * there).sum(axis=0), there.sum(axis=0).astype(np.float64))

    return at
