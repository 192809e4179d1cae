"""Which linear function of an embedding tells the training classes apart? Multinomial logistic regression.

On embeddings standardised over the images that it is fitted on, with the images weighing as a net's training
would draw them. Standardising is folded into weights and bias, so that a head is one matrix and one row.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.errors import ContractError
from core.tree import FloatArray as DoubleArray
from modalities.encoders.encoder import FloatArray

IntArray = npt.NDArray[np.int64]

PENALTIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""scikit-learn's C for weights of mean 1, from a strong penalty to a weak one. Heads on 803 dermoscopic
images of MILK10k chose 1e-3 for the 1,280 numbers of a net and 1e-1 for 88 statistics."""

ITERATIONS = 300
"""Steps of L-BFGS at most. 10,000 drawn rows of 1,280 numbers in 16 classes took 36 to 82."""

UNSEEN = -20.0
"""Logit of a class that the head was never shown: its prior is 0, and logits must stay finite."""

HELD_OUT = 3
"""Every third lesion of a class judges the penalties, and then serves the fit with the chosen one."""


@dataclass(frozen=True)
class Head:
    """`weight` classes x dimension and `bias` classes, float64."""

    weight: DoubleArray
    bias: DoubleArray

    def logits(self, rows: FloatArray) -> DoubleArray:
        """float32 N x dimension to N x classes."""
        return np.asarray(rows.astype(np.float64) @ self.weight.T + self.bias)

    def to_bytes(self) -> bytes:
        """As a file of safetensors."""
        return save({"weight": self.weight, "bias": self.bias})

    @classmethod
    def from_bytes(cls, content: bytes, classes: int, dimension: int) -> Head:
        """The reverse. Raises `ContractError` for other tensors, shapes or numbers that are not finite."""
        try:
            tensors = load(content)
        except SafetensorError as error:
            raise ContractError("the head's weights cannot be read as safetensors") from error
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != {"weight": (classes, dimension), "bias": (classes,)}:
            raise ContractError(f"the head must hold weight ({classes}, {dimension}) and bias ({classes},)")
        if not all(t.dtype == np.float64 and np.isfinite(t).all() for t in tensors.values()):
            raise ContractError("the head's weights must be finite float64")
        return cls(tensors["weight"], tensors["bias"])


def fit_head(
    rows: FloatArray, targets: IntArray, weights: DoubleArray, lesions: Sequence[str], classes: int
) -> tuple[Head, float]:
    """The head and scikit-learn's C, chosen on held-out lesions of these images.

    `rows` N x dimension, `targets` indices of classes, at least two of them present, `weights` > 0. The
    strongest penalty is taken where no class has three lesions to judge by.
    """
    weights = weights * (len(weights) / weights.sum())
    held = _held_out(targets, lesions)
    best, chosen = np.inf, PENALTIES[0]
    tried = PENALTIES if held.any() and len(np.unique(targets[~held])) > 1 else ()
    path = _path(rows[~held], targets[~held], weights[~held], classes, tried)
    for c, head in zip(tried, path, strict=True):
        loss = cross_entropy(head.logits(rows[held]), targets[held], weights[held])
        if loss >= best:
            break
        best, chosen = loss, c
    return next(_path(rows, targets, weights, classes, (chosen,))), chosen


def _held_out(targets: IntArray, lesions: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Every third lesion of a class, in the order of the lesions' sha256; an image goes with its lesion."""
    # A lesion of two cohorts may bear two labels; one of them, whatever the order, then has it.
    own = dict(sorted(zip(lesions, targets.tolist(), strict=True), reverse=True))
    members: dict[int, list[str]] = defaultdict(list)
    for lesion in sorted(own, key=lambda lesion: hashlib.sha256(lesion.encode()).hexdigest()):
        members[own[lesion]].append(lesion)
    held = {lesion for group in members.values() for lesion in group[HELD_OUT - 1 :: HELD_OUT]}
    return np.array([lesion in held for lesion in lesions])


def _path(
    rows: FloatArray, targets: IntArray, weights: DoubleArray, classes: int, penalties: Sequence[float]
) -> Iterator[Head]:
    """A head for each penalty, each fit beginning where the one before ended."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    table = rows.astype(np.float64)
    mean, spread = table.mean(axis=0), table.std(axis=0)
    spread[spread < 1e-8 * (1 + np.abs(mean))] = 1.0  # a number that never varies tells nothing
    table = (table - mean) / spread
    model = LogisticRegression(max_iter=ITERATIONS, warm_start=True)
    for c in penalties:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.set_params(C=c).fit(table, targets, weights)
        yield _unscaled(model, mean, spread, classes)


def _unscaled(model: Any, mean: DoubleArray, spread: DoubleArray, classes: int) -> Head:
    """The head that takes rows as they come, of a model fitted on standardised ones."""
    shown, raised = np.asarray(model.coef_, np.float64), np.asarray(model.intercept_, np.float64)
    if len(model.classes_) == 2:
        # For two classes scikit-learn keeps the difference of their logits alone.
        shown, raised = np.concatenate([-shown, shown]) / 2, np.concatenate([-raised, raised]) / 2
    weight, bias = np.zeros((classes, len(mean))), np.full(classes, UNSEEN)
    weight[model.classes_] = shown / spread
    bias[model.classes_] = raised - weight[model.classes_] @ mean
    return Head(weight, bias)


def cross_entropy(logits: DoubleArray, targets: IntArray, weights: DoubleArray) -> float:
    """Weighted mean of -log P(target), nats."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted[np.arange(len(targets)), targets] - np.log(np.exp(shifted).sum(axis=1))
    return float(-(weights * log_p).sum() / weights.sum())


def temperature_of(logits: DoubleArray, targets: IntArray, weights: DoubleArray) -> float:
    """What divides logits for the least cross-entropy (Guo et al. 2017), within e^-2 to e^2, 4 decimals."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: cross_entropy(logits / np.exp(log_t), targets, weights),
        bounds=(-2, 2),
        method="bounded",
    )
    return round(float(np.exp(found.x)), 4)
