"""How sure is too sure, if that is a line through the log probabilities? Temperature, vector, Dirichlet.

    log P'(c) = a log P(c) + const                                temperature, a = 1 / T
    log P'(c) = a_c log P(c) + b_c + const                        vector
    log P'(c) = sum over k of A_ck log P(k) + b_c + const         Dirichlet

Guo et al., "On calibration of modern neural networks", ICML 2017; Kull et al., "Beyond temperature scaling",
NeurIPS 2019. All are fitted by log loss, in which a lesion counts 1, with ridges toward temperature scaling.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.tree import FloatArray
from fusion.calibration import log_softmax
from fusion.rows import IntArray

FLOOR = 1e-12
"""Probabilities are read as at least this, so that a class which a fuser gave 0 has a logarithm."""

STEPS = 300
"""Most steps of L-BFGS; the loss has stopped to change in its sixth digit by then."""

_CELLS = 4_000_000
"""Products held at once where a matrix is applied."""


@dataclass(frozen=True)
class Ridge:
    """How strongly a fit is held, in units of one lesion's log loss: a ridge r is a normal prior of standard
    deviation 1 / sqrt(2 r).

    `common` holds the slope that all classes share to 1, `own` the slope of each class to the shared one,
    `offset` each offset to 0, `cross` what one class says about another to 0; `None`: nothing at all.
    """

    common: float
    own: float
    offset: float
    cross: float | None = None


VECTOR = Ridge(common=0.0, own=20.0, offset=20.0)
"""On MILK10k and HAM10000 ridges from 5 to 50 differed by less than .01 in log loss; 1 was worse."""

DIRICHLET = Ridge(common=0.0, own=20.0, offset=20.0, cross=500.0)
"""On the same lesions a cross ridge of 20 lost up to .06 of log loss to 500."""


@dataclass(frozen=True)
class Affine:
    """Slopes and offsets of the log probabilities.

    `slope` is one number a class (classes,), or what each class says about each (classes x classes, the row
    being the class that is told about); `offset` is (classes,).
    """

    slope: FloatArray
    offset: FloatArray

    def logits(self, logs: FloatArray) -> FloatArray:
        """Rows of log probabilities to rows of logits; a row's bits do not depend on the other rows."""
        if self.slope.ndim == 1:
            return np.asarray(logs * self.slope + self.offset)
        width = max(1, _CELLS // self.slope.size)
        # Not a matrix product: that adds in another order for one row than for many.
        parts = [(logs[k : k + width, None, :] * self.slope).sum(axis=-1) for k in range(0, len(logs), width)]
        return np.concatenate(parts) + self.offset if parts else logs

    def weights(self, rows: FloatArray) -> FloatArray:
        """Probabilities, rows x classes, to weights > 0 that need scaling."""
        logits = self.logits(logs(rows))
        return np.asarray(np.exp(np.maximum(logits - logits.max(axis=1, keepdims=True), np.log(FLOOR))))


def logs(rows: FloatArray) -> FloatArray:
    """Log probabilities; 0 counts as `FLOOR`."""
    return np.log(np.maximum(rows, FLOOR))


def fit_affine(x: FloatArray, truth: IntArray, weight: FloatArray, ridge: Ridge) -> Affine:
    """The least weighted log loss of `Affine.logits(x)` plus ridges; the loss is convex.

    `x`: rows x classes log probabilities; `truth`: the place of the true class of each row; `weight`: that
    of each row, 1 in all for a lesion. No slope of a class on itself falls below 0, which would turn it
    round.
    """
    from scipy.optimize import minimize

    classes = x.shape[1]
    loss = _Loss(x, truth, weight, ridge)
    start = np.concatenate([np.ones(1 + classes), np.zeros(loss.size - 1 - classes)])
    bounds = [(0.0, None)] * (1 + classes) + [(None, None)] * (loss.size - 1 - classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS})
    _, own, offset, cross = loss.parts(found.x)
    if cross is None:
        return Affine(own, offset)
    return Affine(cross + np.diag(own), offset)


class _Loss:
    """Value and gradient over one vector: common slope, own slopes, offsets, and the matrix row by row."""

    def __init__(self, x: FloatArray, truth: IntArray, weight: FloatArray, ridge: Ridge) -> None:
        self.x, self.ridge, self.weight = x, ridge, weight
        self.at = np.arange(len(truth)), truth
        self.classes = x.shape[1]
        self.size = 1 + 2 * self.classes + (0 if ridge.cross is None else self.classes**2)
        self.apart = 1 - np.eye(self.classes)

    def parts(self, values: FloatArray) -> tuple[float, FloatArray, FloatArray, FloatArray | None]:
        """Common slope, own slopes, offsets and the matrix with a diagonal of 0."""
        own, offset = np.split(values[1 : 1 + 2 * self.classes], 2)
        rest = values[1 + 2 * self.classes :]
        cross = rest.reshape(self.classes, self.classes) * self.apart if rest.size else None
        return float(values[0]), own, offset, cross

    def __call__(self, values: FloatArray) -> tuple[float, FloatArray]:
        common, own, offset, cross = self.parts(values)
        logits = self.x * own + offset + (0.0 if cross is None else self.x @ cross.T)
        found = log_softmax(logits)
        error = np.exp(found)
        error[self.at] -= 1
        error *= self.weight[:, None]
        r = self.ridge
        apart = own - common
        value = -self.weight @ found[self.at] + r.common * (common - 1) ** 2
        value += r.own * apart @ apart + r.offset * offset @ offset
        gradient = [
            np.array([2 * r.common * (common - 1) - 2 * r.own * apart.sum()]),
            (error * self.x).sum(axis=0) + 2 * r.own * apart,
            error.sum(axis=0) + 2 * r.offset * offset,
        ]
        if cross is not None and r.cross is not None:
            value += r.cross * (cross**2).sum()
            gradient.append(((error.T @ self.x) * self.apart + 2 * r.cross * cross).ravel())
        return float(value), np.concatenate(gradient)
