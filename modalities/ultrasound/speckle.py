"""How is speckle reduced without moving edges? Anisotropic diffusion steered by the local spread.

Yu and Acton 2002, IEEE Trans Image Process 11, 1260.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_WINDOW = 7
_DECAY = 1 / 6
_LEAST_SPREAD = 0.02


def speckle_spread(intensity: Array, inside: Mask | None = None) -> float:
    """Standard deviation over mean in even parts: the lower quartile over windows of 7 x 7 pixels.

    `intensity`: planes x height x width, above 0, before log compression. `inside`: the pixels that may be
    counted (default all). Windows that show no speckle, being black, are left out; 0 where none is left.
    """
    size = (1, _WINDOW, _WINDOW)
    mean = uniform_filter(intensity, size)
    square = uniform_filter(intensity**2, size)
    spread = np.sqrt(np.maximum(square / mean**2 - 1, 0))
    shown = spread > _LEAST_SPREAD
    if inside is not None:
        shown &= uniform_filter(inside.astype(np.float32), size) > 1 - 0.5 / _WINDOW**2
    return float(np.percentile(spread[shown], 25)) if shown.any() else 0.0


def speckle_reduced(
    intensity: Array, spread: float | None = None, steps: int = 30, rate: float = 0.5
) -> Array:
    """Speckle-reducing anisotropic diffusion of planes x height x width, intensities above 0.

    `spread`: of speckle at the start (default `speckle_spread`); it decays by 1/6 a unit of time, their
    equation 37. `rate`: time of one step, at most 1. The sum over each plane stays, as nothing flows out.
    """
    image = np.array(intensity, np.float64)
    first = speckle_spread(image) if spread is None else spread
    if first <= 0:
        return image
    for step in range(steps):
        scale = (first * np.exp(-_DECAY * rate * step)) ** 2
        down, right = _difference(image, 1), _difference(image, 2)
        up, left = -_shifted(down, 1), -_shifted(right, 2)
        laplacian = (down + up + right + left) / image
        gradient = (down**2 + up**2 + right**2 + left**2) / image**2
        # Their equation 31: the instantaneous coefficient of variation, squared.
        variation = np.maximum(gradient / 2 - laplacian**2 / 16, 0) / np.maximum(1 + laplacian / 4, 1e-3) ** 2
        # Equation 33, multiplied out; diffusion is no faster than in even parts.
        speed = np.minimum(scale * (1 + scale) / (variation + scale**2), 1)
        flow_down = _next(speed, 1) * down
        flow_right = _next(speed, 2) * right
        image += (
            rate / 4 * (flow_down - _shifted(flow_down, 1) + flow_right - _shifted(flow_right, 2))
        )  # what enters from above and from the left leaves there
        np.maximum(image, np.finfo(np.float64).tiny, out=image)
    return image


def _difference(image: Array, axis: int) -> Array:
    """To the next pixel along `axis`; 0 at the last."""
    return np.diff(image, axis=axis, append=image.take([-1], axis))


def _next(image: Array, axis: int) -> Array:
    return np.concatenate([image.take(range(1, image.shape[axis]), axis), image.take([-1], axis)], axis)


def _shifted(image: Array, axis: int) -> Array:
    """Each pixel's value taken from the one before it; 0 at the first."""
    return np.concatenate(
        [np.zeros_like(image.take([0], axis)), image.take(range(image.shape[axis] - 1), axis)], axis
    )
