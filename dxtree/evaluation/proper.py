"""How far are probabilities from what happened, and how far in the tree is an answer from the truth?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray

LEAST_PROBABILITY = float(np.finfo(np.float64).eps)
"""A smaller probability of the truth counts as this one, 2.2e-16, so that one sure error does not make the
logarithmic loss infinite. scikit-learn's `log_loss` has the same bound."""

WORST_LOG_LOSS = float(-np.log(LEAST_PROBABILITY))


def scaled_rows(scores: FloatArray) -> FloatArray:
    """Rows divided by their sum; a row without any mass says nothing and becomes uniform."""
    total = scores.sum(axis=1, keepdims=True)
    width = max(scores.shape[1], 1)
    return np.where(total > 0, scores / np.where(total > 0, total, 1), 1 / width)


def squared_error(scores: FloatArray, truth: IntArray) -> FloatArray:
    """Sum over classes of (probability - truth)^2, a row: Brier's multi-class score, from 0 to 2."""
    error = scores.copy()
    error[np.arange(len(truth)), truth] -= 1
    return np.asarray((error**2).sum(axis=1))


def log_loss(scores: FloatArray, truth: IntArray) -> FloatArray:
    """Minus the natural logarithm of the probability of the truth, a row, from 0 to 36.04 (Good 1952)."""
    found = scores[np.arange(len(truth)), truth]
    return -np.log(np.clip(found, LEAST_PROBABILITY, 1.0))


def tree_distances(taxonomy: Taxonomy, nodes: Sequence[str]) -> FloatArray:
    """Edges from each node up to the lowest common ancestor of two, and down to the other: nodes x nodes.

    Between nodes of one level this is twice the height of that ancestor, which Bertinetto et al. (CVPR 2020)
    average. Raises `UnknownNode`.
    """
    paths = [taxonomy.path(node) for node in nodes]
    depth = np.array([len(path) for path in paths], np.int64)
    deepest = int(depth.max(initial=0))
    names: dict[str, int] = {}
    above = np.array(
        [[names.setdefault(n, len(names)) for n in p] + [-1] * (deepest - len(p)) for p in paths], np.int64
    ).reshape(len(paths), deepest)
    same = np.ones((len(paths), len(paths)), bool)
    shared = np.zeros(same.shape, np.int64)
    for column in above.T:
        same &= (column[:, None] == column[None, :]) & (column[:, None] >= 0)
        shared += same
    return np.asarray(depth[:, None] + depth[None, :] - 2 * shared, np.float64)
