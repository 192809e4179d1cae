"""How sure may a fuser be? One temperature, from answers it gave on lesions it was not fitted on.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.tree import FloatArray

BOUNDS = (0.1, 10.0)
"""Temperatures that are tried."""


def log_softmax(logits: FloatArray) -> FloatArray:
    """Rows of logits to rows of log probabilities."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def loss(logits: FloatArray, truth: npt.NDArray[np.int64], weights: FloatArray) -> float:
    """Weighted mean of the negative log probability of the truth."""
    taken = log_softmax(logits)[np.arange(len(truth)), truth]
    return float(-(weights @ taken) / weights.sum())


def fit_temperature(logits: FloatArray, truth: npt.NDArray[np.int64], weights: FloatArray) -> float:
    """The temperature that minimises `loss(logits / T)`; N x classes logits must be cross-fitted."""
    from scipy.optimize import minimize_scalar

    span = (float(np.log(BOUNDS[0])), float(np.log(BOUNDS[1])))

    def at(log_temperature: float) -> float:
        return loss(logits / np.exp(log_temperature), truth, weights)

    found = minimize_scalar(at, bounds=span, method="bounded")
    return float(np.exp(found.x))
