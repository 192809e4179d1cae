"""How strongly does skin attenuate light at each depth, whatever lies above it?

Vermeer et al. 2014, Biomed Opt Express 5, 322: under single scattering, with a fixed share of it coming back,
the light that is lost below a pixel is what comes back from below it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SEEN = 1.0
"""Part of the noise's mean that the mean signal of a row must reach to be counted as seen."""


def attenuation(intensity: Array, pixel: float, rest: Array | float = 0.0) -> Array:
    """Attenuation coefficient along axis -2, per unit of `pixel`, the distance of rows.

    Their equation 17: ln(1 + I_i / sum of I_j over j > i) / (2 pixel). `intensity` is linear, free of noise
    and not below 0. `rest`: what would have come from below the last row, ... x columns; without it their
    method gives too much towards the last rows. 0 where neither this row nor one below sends anything back.
    """
    below = np.cumsum(intensity[..., ::-1, :], axis=-2)[..., ::-1, :] - intensity
    below = np.maximum(below, 0) + np.expand_dims(np.broadcast_to(rest, intensity[..., 0, :].shape), -2)
    ratio = np.divide(intensity, below, out=np.zeros_like(intensity), where=below > 0)
    coefficients: Array = np.log1p(ratio) / (2 * pixel)
    return coefficients


def noise_level(intensity: Array, air: npt.NDArray[np.bool_]) -> float:
    """Mean intensity where no skin is; the second percentile of all where there is no such place."""
    if air.sum() >= 50:
        return float(intensity[air].mean())
    return float(np.percentile(intensity, 2))


def last_seen_row(signal: Array, noise: float) -> int:
    """The last row of slices x rows x columns whose mean above noise is no mere noise; 0 if none."""
    profile = signal.mean(axis=(0, 2))
    seen = np.flatnonzero(profile > _SEEN * noise) if noise > 0 else np.flatnonzero(profile > 0)
    return int(seen[-1]) if seen.size else 0


def rest_below(signal: Array, last: int) -> Array:
    """What would come from below row `last`, slices x columns, if intensity went on to fall as it did.

    The fall is that of the mean over slices and columns in the last third of what is seen, the height that of
    each column's last rows: I / (exp(2 mu) - 1) summed to no end.
    """
    third = max(4, last // 3)
    start = max(0, last - third)
    profile = np.log(np.maximum(signal[:, start : last + 1].mean(axis=(0, 2)), 1e-300))
    rows = np.arange(len(profile)) - (len(profile) - 1) / 2
    fall = float(-(rows * profile).sum() / max(float((rows**2).sum()), 1e-12))
    ends = signal[:, max(start, last - 3) : last + 1].mean(axis=1)
    rest: Array = ends / np.expm1(max(fall, 1e-3))
    return rest
