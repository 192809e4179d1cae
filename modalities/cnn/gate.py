"""Is this image of the kind the model was trained with?

Colour, light and sharpness are held against the training part, before the class model: that stops blank
frames, noise, documents and strong blur. It does not tell healthy skin from a lesion
and cannot see an unseen disease.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ContractError
from modalities.cnn.preprocess import ByteImage

FEATURES = ("red", "green", "blue", "contrast", "log_sharpness", "saturation", "dark", "bright")
MARGIN = 1.5
"""The limit is this many times the largest distance among validation images, so that few real ones stop."""

FloatArray = npt.NDArray[np.float64]


def describe(square: ByteImage) -> FloatArray:
    """Eight statistics of a uint8 H x W x 3 image, in the order of `FEATURES`; colours in [0, 1]."""
    rgb = square.astype(np.float64) / 255
    grey = rgb @ np.array([0.299, 0.587, 0.114])
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    spread = rgb.max(axis=2) - rgb.min(axis=2)
    return np.array(
        [
            *rgb.mean(axis=(0, 1)),
            grey.std(),
            np.log(laplacian.var() + 1e-8),
            spread.mean(),
            (grey < 0.06).mean(),
            (grey > 0.97).mean(),
        ]
    )


@dataclass(frozen=True)
class Gate:
    """Mahalanobis distance to the training images, with a limit set on validation images."""

    mean: FloatArray
    precision: FloatArray
    limit: float
    least_sharpness: float

    def concerns(self, square: ByteImage) -> tuple[str, ...]:
        """Why the image should not be judged; empty where nothing speaks against it."""
        found = describe(square)
        reasons = []
        if found[FEATURES.index("log_sharpness")] < self.least_sharpness:
            reasons.append("it is blurred beyond anything the model was trained with; take it again in focus")
        off = found - self.mean
        if float(np.sqrt(off @ self.precision @ off)) > self.limit:
            reasons.append("its colour and light are unlike every image the model was trained with")
        return tuple(reasons)

    @classmethod
    def fit(cls, training: Sequence[FloatArray], validation: Sequence[FloatArray]) -> Gate:
        """From `describe` of training images (centre and spread) and validation images (limits)."""
        table, held = np.stack(training), np.stack(validation)
        mean = table.mean(axis=0)
        spread = np.cov(table, rowvar=False) + 1e-5 * np.eye(len(FEATURES))
        precision = np.asarray(np.linalg.inv(spread), np.float64)
        off = held - mean
        distance = np.sqrt(np.einsum("ni,ij,nj->n", off, precision, off))
        sharp = held[:, FEATURES.index("log_sharpness")]
        return cls(mean, precision, MARGIN * float(distance.max()), float(sharp.min()) - 1.0)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "features": list(FEATURES),
            "mean": self.mean.tolist(),
            "precision": self.precision.tolist(),
            "limit": self.limit,
            "least_sharpness": self.least_sharpness,
        }

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Gate:
        """Raises `ContractError` for other features, shapes or numbers that are not finite."""
        try:
            mean, precision = np.array(raw["mean"], np.float64), np.array(raw["precision"], np.float64)
            limits = float(raw["limit"]), float(raw["least_sharpness"])
            names = tuple(raw["features"])
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError("the gate's statistics cannot be read") from error
        n = len(FEATURES)
        shapes = names == FEATURES and mean.shape == (n,) and precision.shape == (n, n)
        if not shapes or not np.isfinite([*mean, *precision.ravel(), *limits]).all():
            raise ContractError(f"the gate needs finite statistics of {', '.join(FEATURES)}")
        return cls(mean, precision, *limits)
