"""What do stages compute with, beside pictures and masks? Greys, and colours as the eye sees them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from plugins.specs import Pixels

Field = npt.NDArray[np.float32]
"""float32 H x W, or H x W x 3."""

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB to CIE XYZ at D65 (IEC 61966-2-1)."""
_WHITE = _TO_XYZ.sum(axis=1)


def grey_of(pixels: Pixels) -> npt.NDArray[np.uint8]:
    """Luma of ITU-R BT.601, uint8 H x W."""
    weighted = pixels[..., 0] * np.float32(0.299)
    weighted += pixels[..., 1] * np.float32(0.587)
    weighted += pixels[..., 2] * np.float32(0.114)
    weighted += np.float32(0.5)
    return weighted.astype(np.uint8)


def lab_of(pixels: npt.NDArray[np.uint8]) -> Field:
    """CIE L*a*b* (1976) at D65 of uint8 ... x 3: L* from 0 to 100; float32 of the same shape."""
    linear = _LINEAR[pixels]
    ratio = linear @ (_TO_XYZ / _WHITE[:, None]).T.astype(np.float32)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * np.float32(841 / 108) + np.float32(4 / 29))
    lab = np.empty_like(linear)
    lab[..., 0] = 116 * f[..., 1] - 16
    lab[..., 1] = 500 * (f[..., 0] - f[..., 1])
    lab[..., 2] = 200 * (f[..., 1] - f[..., 2])
    return lab


def _linear() -> Field:
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


_LINEAR = _linear()
