"""How often does a class come true at each probability, if that may only rise? One rising curve a class.

Each class is told apart from the rest by itself (Zadrozny and Elkan, KDD 2002) and rows are scaled to sum 1.
A class with few lesions has its curve in common with its relatives: it is fitted on the pairs of probability
and outcome of every class below the nearest node above it that holds enough lesions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.partition import Partition
from core.tree import FloatArray
from fusion.calibrating.affine import FLOOR
from fusion.rows import IntArray

LEAST = 30
"""Lesions that a curve of its own needs; 100 gave the same log loss within .015 either way."""

KEPT = 0.05
"""Share of its own probability that goes into every class's answer: where the curve is flat or 0, as below
the least probability at which the class was ever seen, the answer still rises and is never 0."""


@dataclass(frozen=True)
class Curves:
    """Rising curves through knots.

    `x` and `y` hold those of all curves one behind the other, `knots` how many each curve has, and `curve`
    which curve a class has.
    """

    curve: tuple[int, ...]
    knots: tuple[int, ...]
    x: FloatArray
    y: FloatArray

    def weights(self, rows: FloatArray) -> FloatArray:
        """Probabilities, rows x classes, to weights > 0 that rise with the class's own and need scaling."""
        edges = np.cumsum((0, *self.knots))
        found = KEPT * np.maximum(rows, FLOOR)
        for column, curve in enumerate(self.curve):
            here = slice(edges[curve], edges[curve + 1])
            found[:, column] += (1 - KEPT) * np.interp(rows[:, column], self.x[here], self.y[here])
        return np.asarray(found)

    def rises(self) -> bool:
        """Whether these are curves at all: every x above the one before, no y below it, all within [0, 1]."""
        cuts = np.cumsum(self.knots)[:-1]
        good = all(0 <= k < len(self.knots) for k in self.curve) and all(n > 0 for n in self.knots)
        for x, y in zip(np.split(self.x, cuts), np.split(self.y, cuts), strict=True):
            good = good and bool((np.diff(x) > 0).all() and (np.diff(y) >= 0).all())
        return good and all(bool(((v >= 0) & (v <= 1)).all()) for v in (self.x, self.y))


def fit_curves(rows: FloatArray, truth: IntArray, weight: FloatArray, partition: Partition) -> Curves:
    """The curves with the least weighted squared error, by scikit-learn."""
    from sklearn.isotonic import IsotonicRegression

    pools = pools_of(np.bincount(truth, weight, len(partition.ids)).astype(np.float64), partition)
    distinct = sorted(set(pools))
    x, y = [], []
    for pool in distinct:
        columns = list(pool)
        outcome = (truth[:, None] == np.array(columns)).astype(np.float64)
        fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(
            rows[:, columns].ravel(), outcome.ravel(), np.repeat(weight, len(columns))
        )
        x.append(np.asarray(fit.X_thresholds_, np.float64))
        y.append(np.asarray(fit.y_thresholds_, np.float64))
    curve = tuple(distinct.index(pool) for pool in pools)
    return Curves(curve, tuple(map(len, x)), np.concatenate(x), np.concatenate(y))


def pools_of(lesions: FloatArray, partition: Partition) -> list[tuple[int, ...]]:
    """For each class the classes that share its curve, by their places, from the lesions of each class."""
    taxonomy = partition.taxonomy
    found: list[tuple[int, ...]] = []
    for k, cell in enumerate(partition.classes):
        pool: tuple[int, ...] = (k,)
        for node in reversed(taxonomy.path(cell.node)):
            if lesions[list(pool)].sum() >= LEAST:
                break
            pool = tuple(j for j, c in enumerate(partition.classes) if taxonomy.covers(node, c.node))
        found.append(pool)
    return found
