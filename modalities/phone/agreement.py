"""How near are the phone's answers to the source's, and how near must they be?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from core.errors import ContractError, NonFiniteOutput

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """Differences over the same images. Probabilities are the calibrated ones of training classes."""

    images: int
    max_dp: float
    """Largest difference of a probability, over images and classes."""
    mean_dp: float
    """Mean over images of the largest difference of a class's probability."""
    cosine: float
    """Smallest cosine, over images, between the two vectors of logits, each less its mean.

    A constant added to all logits changes no probability, and must not make other logits look alike.
    """
    top_class: float
    """Share of the images with the same most probable class."""

    def to_dict(self) -> dict[str, float]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True)
class Limit:
    """What an export must reach to be written."""

    mean_dp: float
    top_class: float

    def fault(self, found: Agreement) -> str | None:
        """What is missed, with the numbers; `None` where both limits are kept."""
        missed = []
        if not found.mean_dp <= self.mean_dp:
            missed.append(f"mean |dp| is {found.mean_dp:.4g}, at most {self.mean_dp:g} is allowed")
        if not found.top_class >= self.top_class:
            missed.append(
                f"the top class is the same in {found.top_class:.1%}, at least {self.top_class:.0%} is needed"
            )
        return "; ".join(missed) or None


LIMITS: Mapping[str, Limit] = {
    "fp32": Limit(mean_dp=1e-4, top_class=0.99),
    "fp16": Limit(mean_dp=0.005, top_class=0.98),
    "int8-dynamic": Limit(mean_dp=0.05, top_class=0.9),
    "int8": Limit(mean_dp=0.05, top_class=0.9),
}
"""By precision. See docs/decisions/0019."""


def compare(source: npt.ArrayLike, phone: npt.ArrayLike, temperature: float) -> Agreement:
    """Compares logits, each images x classes, of the same images in the same order.

    Raises `ContractError` where the shapes differ or there is no image, `NonFiniteOutput` for a logit that
    is NaN or infinite.
    """
    a, b = np.asarray(source, np.float64), np.asarray(phone, np.float64)
    if a.shape != b.shape or a.ndim != 2 or not a.size:
        raise ContractError(
            f"logits of shape {a.shape} and {b.shape} cannot be compared; give N x classes twice"
        )
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise NonFiniteOutput("a net answered with a number that is not finite")
    p, q = _softmax(a / temperature), _softmax(b / temperature)
    largest = np.abs(p - q).max(axis=1)
    return Agreement(
        images=len(a),
        max_dp=float(largest.max()),
        mean_dp=float(largest.mean()),
        cosine=float(_cosines(a, b).min()),
        top_class=float((p.argmax(axis=1) == q.argmax(axis=1)).mean()),
    )


def _softmax(logits: FloatArray) -> FloatArray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    """One an image; 1 where both are constant, 0 where one of the two is."""
    a, b = _directions(a), _directions(b)
    both = ~a.any(axis=1) & ~b.any(axis=1)
    return np.where(both, 1.0, (a * b).sum(axis=1))


def _directions(logits: FloatArray) -> FloatArray:
    """Rows less their means, of length 1 or all zero. What is far below rounding counts as zero."""
    less = logits - logits.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(less, axis=1, keepdims=True)
    large = lengths > 1e-12 * np.maximum(1, np.abs(logits).max(axis=1, keepdims=True))
    return np.asarray(np.where(large, less / np.where(large, lengths, 1.0), 0.0))
