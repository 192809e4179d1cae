"""What do some of the scores say about the classes, and nothing about the others?

Linear discriminant analysis (Fisher 1936; Hastie, Tibshirani and Friedman, The Elements of Statistical
Learning, 4.3): each class is a normal distribution of its own mean and one covariance, so the answer is the
logistic function of a weighted sum. A score that is missing is integrated out, which for normal
distributions is leaving it out: the answer is that of the marginal distribution, and that it is missing tells
nothing.
Scores x enter as asin(sqrt(x)), which is defined from 0 to 1 and evens the spread of proportions out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.errors import ContractError, TrainingError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

PULL = 5.0
"""Rows' worth of the mean over all classes that each class's own is pulled towards it by."""
SHRINK = 0.1
"""Of the covariances, what is taken away."""
LEAST_VARIANCE = 1e-3
"""Of a concept within a class: a score that never varies must not decide alone."""
UNSEEN = -20.0
"""Logarithm of the prior of a class that was never shown: logits must stay finite."""


@dataclass(frozen=True)
class Discriminant:
    """`concepts` in order, `means` classes x concepts, `covariance` concepts x concepts, `prior` classes."""

    concepts: tuple[str, ...]
    means: FloatArray
    covariance: FloatArray
    prior: FloatArray

    def logits(self, scores: Mapping[str, float]) -> FloatArray:
        """Logits of the classes for the scores that are known, of any concepts; others are not read."""
        known = [k for k, c in enumerate(self.concepts) if c in scores]
        with np.errstate(divide="ignore"):
            found: FloatArray = np.maximum(np.log(self.prior), UNSEEN)
        if not known:
            return found
        row = evened(np.array([scores[self.concepts[k]] for k in known]))
        lower = np.linalg.cholesky(self.covariance[np.ix_(known, known)])
        off = np.linalg.solve(lower, (row - self.means[:, known]).T)
        return np.asarray(found - (off**2).sum(axis=0) / 2)

    def to_bytes(self) -> bytes:
        """As a file of safetensors."""
        return save({"means": self.means, "covariance": self.covariance})

    @classmethod
    def from_bytes(cls, content: bytes, concepts: tuple[str, ...], prior: FloatArray) -> Discriminant:
        """The reverse. Raises `ContractError` for other tensors, shapes, or numbers that cannot be used."""
        try:
            tensors = load(content)
        except SafetensorError as error:
            raise ContractError("the discriminant cannot be read as safetensors") from error
        wanted = {"means": (len(prior), len(concepts)), "covariance": (len(concepts),) * 2}
        if {name: t.shape for name, t in tensors.items()} != wanted:
            raise ContractError(f"the discriminant must hold {wanted}")
        if not all(t.dtype == np.float64 and np.isfinite(t).all() for t in tensors.values()):
            raise ContractError("the discriminant must hold finite float64")
        covariance = tensors["covariance"]
        if not np.array_equal(covariance, covariance.T) or np.linalg.eigvalsh(covariance).min() <= 0:
            raise ContractError("the discriminant's covariance must be symmetric and positive definite")
        return cls(concepts, tensors["means"], covariance, prior)


def evened(scores: FloatArray) -> FloatArray:
    """asin(sqrt(x)) of scores from 0 to 1; NaN stays."""
    return np.asarray(np.arcsin(np.sqrt(scores)))


def fit(rows: FloatArray, targets: IntArray, classes: int, concepts: tuple[str, ...]) -> Discriminant:
    """Fits scores, rows x concepts, NaN where missing, to classes as indices; the prior is their share.

    Means and covariances are over the rows that know a score, or both. Raises `TrainingError` for a concept
    that no row knows and fewer than two classes.
    """
    if len(np.unique(targets)) < 2:
        raise TrainingError("the table shows fewer than two training classes; two are needed")
    table = evened(rows)
    known = np.isfinite(table)
    unknown = [c for k, c in enumerate(concepts) if not known[:, k].any()]
    if unknown:
        raise TrainingError(f"no row of the table knows {', '.join(unknown)}")
    filled = np.where(known, table, 0.0)
    member = (targets[:, None] == np.arange(classes)).astype(np.float64)
    whole = filled.sum(axis=0) / known.sum(axis=0)
    means = (member.T @ filled + PULL * whole) / (member.T @ known + PULL)
    off = np.where(known, table - means[targets], 0.0)
    both = np.maximum(known.T.astype(np.float64) @ known, 1)
    covariance = (off.T @ off) / both
    variance = np.maximum(np.diag(covariance), LEAST_VARIANCE)
    covariance = (1 - SHRINK) * covariance
    np.fill_diagonal(covariance, variance)
    return Discriminant(concepts, means, _definite(covariance), member.mean(axis=0))


def _definite(covariance: FloatArray) -> FloatArray:
    """Pairs of concepts are known in different rows, so their covariances need not fit together."""
    values, axes = np.linalg.eigh(covariance)
    mended = (axes * np.maximum(values, LEAST_VARIANCE / 10)) @ axes.T
    return np.asarray((mended + mended.T) / 2)
