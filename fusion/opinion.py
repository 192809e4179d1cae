"""How much does a modality count in a log-opinion pool? One weight alone, another among others.

    log P(c | images) = target(c) + sum over m of w_m * ratio_m(c) + const

Genest and Zidek, "Combining probability distributions", Statistical Science 1(1), 1986. Two views of one
lesion share their errors, so that among others a modality adds less than it says alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from core.errors import ContractError
from core.manifest import Bundle
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.calibration import log_softmax
from fusion.ratio import Ratios
from fusion.rows import IntArray

ALONE, AMONG = "alone", "among"

WEIGHT_BOUNDS = (0.0, 3.0)
"""A weight below 0 would turn evidence round."""

Weights = Mapping[str, Mapping[str, float]]
"""Modality to its weight `alone` and its weight `among` others."""


def place(modalities: Sequence[str], modality: str, given: int) -> int:
    """Where the weight of a modality stands: all alone first, then all among others.

    `given` is the number of modalities that have evidence.
    """
    return modalities.index(modality) + (len(modalities) if given > 1 else 0)


def places(modalities: Sequence[str]) -> int:
    """Number of weights."""
    return 2 * len(modalities)


def terms(
    ratios: Ratios, modalities: Sequence[str], rows: Sequence[Sequence[Evidence]], classes: int
) -> FloatArray:
    """Rows x places x classes: log ratios where a modality is given, 0 elsewhere."""
    found = np.zeros((len(rows), places(modalities), classes))
    for evidence, out in zip(rows, found, strict=True):
        for one in evidence:
            out[place(modalities, one.modality, len(evidence))] = ratios.log(one)
    return found


def pooled(weights: Weights, ratios: Mapping[str, FloatArray]) -> FloatArray | float:
    """Weighted sum of the log ratios of one case; a modality without weights has weight 1; 0 for none."""
    how = AMONG if len(ratios) > 1 else ALONE
    return sum((weights[m][how] if m in weights else 1.0) * ratio for m, ratio in ratios.items())


def named(modalities: Sequence[str], weights: Sequence[float]) -> dict[str, dict[str, float]]:
    """Weights in the order of their places, by name."""
    n = len(modalities)
    return {m: {ALONE: weights[i], AMONG: weights[n + i]} for i, m in enumerate(modalities)}


def fit_weights(offset: FloatArray, parts: FloatArray, truth: IntArray, weight: FloatArray) -> FloatArray:
    """Weights of the parts with the least loss of `offset + weights . parts`, within `WEIGHT_BOUNDS`.

    `offset` is rows x classes, `parts` rows x parts x classes. A part that is 0 in every row keeps weight 1.
    """
    from scipy.optimize import minimize

    start = np.ones(parts.shape[1])
    if not len(truth):
        return start
    at, share = np.arange(len(truth)), weight / weight.sum()

    def loss_and_slope(w: FloatArray) -> tuple[float, FloatArray]:
        log = log_softmax(offset + np.einsum("rtk,t->rk", parts, w))
        gap = np.exp(log)
        gap[at, truth] -= 1
        slope = np.einsum("rk,rtk->t", gap * share[:, None], parts)
        return float(-(share @ log[at, truth])), slope

    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=[WEIGHT_BOUNDS] * len(start))
    return np.asarray(found.x, np.float64)


def read_weights(bundle: Bundle, modalities: Sequence[str]) -> dict[str, dict[str, float]]:
    """The manifest's `weights`: modality to its two weights, or to one number that is both.

    Raises `ContractError` for other modalities or a weight outside 0 to 3.
    """
    given: dict[str, object] = bundle.require("weights", dict)
    found = {m: {ALONE: w, AMONG: w} if isinstance(w, float) else w for m, w in given.items()}
    if set(found) != set(modalities) or not all(map(_are_weights, found.values())):
        raise ContractError("the bundle needs two weights from 0 to 3 a modality, alone and among others")
    return cast("dict[str, dict[str, float]]", found)


def _are_weights(value: object) -> bool:
    return isinstance(value, dict) and set(value) == {ALONE, AMONG} and all(map(is_weight, value.values()))


def is_weight(value: object) -> bool:
    """Whether this is a number within `WEIGHT_BOUNDS`."""
    return isinstance(value, float) and WEIGHT_BOUNDS[0] <= value <= WEIGHT_BOUNDS[1]
