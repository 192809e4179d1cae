"""How are the checks of a modality fitted, so that few of its own images are stopped? By lesions held apart.

A third of the lesions tells what images look like; the others set the thresholds. As no statistic comes from
a net, it does not matter that the net was trained on these lesions.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.checks import Action
from core.errors import TrainingError
from modalities.gate.looks import LOOKS, FloatArray
from modalities.gate.safety import ACTIONS, Limit, SafetyGate
from modalities.gate.standard import Standard

RATE = 0.01
"""False alarms of each check, share of images."""
SHRINKAGE = 0.1
"""Part of the identity in the covariance of standardised statistics."""
PENALTY = 10.0
"""Of the weights' squares, against the sum of the losses of all images."""
SEEN = 2 * len(LOOKS)
"""Images at least that tell what images look like."""


def fit(
    looks: FloatArray,
    lesions: Sequence[str],
    others: FloatArray | None = None,
    *,
    rate: float = RATE,
    actions: Mapping[str, Action] | None = None,
    about: Mapping[str, Any] | None = None,
) -> SafetyGate:
    """From statistics N x `LOOKS` of training images with their lesions, and those of other modalities.

    Without `others` there is no check of the modality. `about` enters what the gate was fitted on. Raises
    `TrainingError` for a rate outside (0, .5) and for too few images to set it by.
    """
    if not 0 < rate < 0.5:
        raise TrainingError("a false-alarm rate is above 0 and below .5, such as 0.01")
    held = np.array([_is_held(lesion) for lesion in lesions], bool)
    seen, fresh = looks[~held], looks[held]
    if len(seen) < SEEN:
        count = f"{len(looks)} images of {len(set(lesions))} lesions"
        raise TrainingError(f"{count} are too few to fit checks; give some 200 or more")
    standard = Standard.fit(seen)
    rows = standard(seen)
    spread = (1 - SHRINKAGE) * np.cov(rows, rowvar=False) + SHRINKAGE * np.eye(len(LOOKS))
    weights, bias = None, 0.0
    if others is not None and len(others):
        weights, bias = _log_odds(rows, standard(others))
    precision = np.asarray(np.linalg.inv(spread), np.float64)
    told = {"images": len(looks), "lesions": len(set(lesions)), **(about or {})}
    gate = SafetyGate(standard, rows.mean(axis=0), precision, weights, bias, {}, told)
    chosen = {**ACTIONS, **(actions or {})}
    limits = {
        name: Limit(threshold_of(scores, rate), rate, len(fresh), chosen[name])
        for name, scores in gate.scores(fresh).items()
    }
    return replace(gate, limits=limits)


def fit_if_enough(looks: FloatArray, lesions: Sequence[str], about: Mapping[str, Any]) -> SafetyGate | None:
    """The gate of one modality by its own images at the rate `RATE`, or `None` for too few to fit one."""
    held = sum(map(_is_held, lesions))
    if len(looks) - held < SEEN or math.ceil((1 - RATE) * (held + 1) - 1e-9) > held:
        return None
    return fit(looks, lesions, about=about)


def threshold_of(scores: FloatArray, rate: float) -> float:
    """What a fresh image's score exceeds with probability `rate` at most (Vovk, Gammerman and Shafer 2005).

    Over the draw of both: the k-th smallest of n scores, k = ceil((1 - rate) (n + 1)). Raises `TrainingError`
    where k is above n.
    """
    n = len(scores)
    place = math.ceil((1 - rate) * (n + 1) - 1e-9)
    if place > n:
        raise TrainingError(
            f"{n} images cannot set a false-alarm rate of {rate:g}; give {math.ceil(1 / rate - 1)} or more, "
            "or another rate"
        )
    return float(np.sort(scores)[place - 1])


def _is_held(lesion: str) -> bool:
    """Whether a lesion sets thresholds: two of three, whatever else is in the list."""
    return hashlib.sha256(f"gate:{lesion}".encode()).digest()[0] % 3 != 0


def _log_odds(own: FloatArray, others: FloatArray) -> tuple[FloatArray, float]:
    """Ridge logistic regression; both sides weigh alike, so that 0 is even odds."""
    from sklearn.linear_model import LogisticRegression

    truth = np.r_[np.zeros(len(own)), np.ones(len(others))]
    model = LogisticRegression(C=1 / PENALTY, class_weight="balanced", solver="newton-cholesky", tol=1e-9)
    model.fit(np.concatenate([own, others]), truth)
    return np.asarray(model.coef_[0], np.float64), float(model.intercept_[0])
