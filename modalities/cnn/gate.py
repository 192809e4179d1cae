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
from modalities.cnn.preprocess import ByteImage, Planes, planes_of

FEATURES = ("red", "green", "blue", "contrast", "log_sharpness", "saturation", "dark", "bright")
MARGIN = 1.5
"""The limit is this many times the largest distance among validation images, so that few real ones stop."""

FloatArray = npt.NDArray[np.float64]
_LUMA = np.array([299, 587, 114], np.float32)
"""Grey of red, green and blue in thousandths (ITU-R BT.601)."""
_FULL = np.float32(255_000)
"""White in the same units."""


def describe(square: ByteImage) -> FloatArray:
    """Eight statistics of a uint8 image, H x W x 3 or planes, in the order of `FEATURES`; colours in [0, 1].

    Grey is counted in 255,000ths, so that it, its differences and the sums of a row of colours are whole
    numbers below 2**24 and exact in float32; what is squared is rounded, far below the sixth digit.
    """
    planes = planes_of(square)
    _, height, width = planes.shape
    pixels = height * width
    values = planes.astype(np.float32)
    colours = np.einsum("chw->ch", values).sum(axis=1, dtype=np.float64) / pixels
    grey = np.einsum("c,cn->n", _LUMA, values.reshape(3, pixels))
    dark = np.count_nonzero(grey < _FULL * np.float32(0.06)) / pixels
    bright = np.count_nonzero(grey > _FULL * np.float32(0.97)) / pixels
    middle = colours @ _LUMA
    grey -= np.float32(round(middle))
    contrast = _squares(grey.reshape(height, width)) - (middle - round(middle)) ** 2
    laplacian = _laplacian(grey, width)
    edges = np.einsum("hw->h", laplacian).sum(dtype=np.float64) / laplacian.size
    sharpness = _squares(laplacian) - edges**2
    return np.array(
        [
            *(colours / 255),
            np.sqrt(max(contrast, 0.0)) / _FULL,
            np.log(max(sharpness, 0.0) / _FULL**2 + 1e-8),
            _spread(planes).sum(dtype=np.uint32) / pixels / 255,
            dark,
            bright,
        ]
    )


def _spread(planes: Planes) -> Planes:
    """The largest less the smallest of a pixel's three values."""
    red, green, blue = planes
    most: Planes = np.maximum(red, green)
    least = np.minimum(red, green)
    np.maximum(most, blue, out=most)
    most -= np.minimum(least, blue, out=least)
    return most


def _laplacian(grey: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    """Neighbours less four times the pixel itself, of every pixel inside, from rows behind one another."""
    found = (grey * np.float32(-4))[width:-width]
    found += grey[width - 1 : -width - 1]
    found += grey[width + 1 : len(grey) - width + 1]
    found += grey[: -2 * width]
    found += grey[2 * width :]
    # The first and last pixel of a row met neighbours of another row.
    return found.reshape(-1, width)[:, 1:-1]


def _squares(values: npt.NDArray[np.float32]) -> float:
    """Mean of the squares: a row at a time in float32, rows in float64, so that rounding stays near 1e-8."""
    return float(np.einsum("hw,hw->h", values, values).sum(dtype=np.float64)) / values.size


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
