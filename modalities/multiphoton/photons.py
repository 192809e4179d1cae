"""How many photons does a grey level stand for, and how are counts made equally noisy?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BLOCK = 8


def gain_and_offset(values: Array) -> tuple[float, float]:
    """Grey levels a photon, and the grey level of none, from planes x height x width of one channel.

    Photons come at random, so variance grows with the mean by the gain: a line is put through the medians of
    ten groups of 8 x 8 blocks ("photon transfer", J. Janesick, SPIE PM170, 2007). Variance is that of the
    second difference along rows over 6, which structure broader than two pixels leaves alone (after J.
    Immerkaer, Comput. Vis. Image Underst. 64 (1996) 300). Where no line rises the gain is 1 and the offset
    the lowest per cent.
    """
    low = float(np.percentile(values, 1))
    second = (values[:, :, :-2] - 2 * values[:, :, 1:-1] + values[:, :, 2:]) ** 2 / 6
    mean, noise = _blocks(values[:, :, 1:-1]), _blocks(second)
    if mean.size < 20 or np.ptp(mean) <= 0:
        return 1.0, low
    groups = np.array_split(np.argsort(mean, kind="stable"), 10)
    # The median of a block's variance lies below its mean; that of the blocks' means is what is fitted.
    at = np.array([np.median(mean[g]) for g in groups])
    spread = np.array([np.median(noise[g]) for g in groups])
    slope, level = np.polyfit(at, spread, 1)
    if not slope > 1e-6 * max(1.0, float(np.abs(at).max())):
        return 1.0, low
    return float(slope), float(min(-level / slope, np.percentile(values, 50)))


def stabilised(photons: Array) -> Array:
    """2 sqrt(n + 3/8): noise of about 1 at any count above four. Source: F. J. Anscombe, Biometrika 35 (1948)
    246. Counts below zero, which reading noise makes, are taken as 0.
    """
    return np.asarray(2 * np.sqrt(np.maximum(photons, 0) + 3 / 8))


def _blocks(values: Array) -> Array:
    """Mean of each whole block of every plane."""
    planes, height, width = values.shape
    rows, columns = height // BLOCK, width // BLOCK
    cut = values[:, : rows * BLOCK, : columns * BLOCK].reshape(planes, rows, BLOCK, columns, BLOCK)
    return np.asarray(cut.mean(axis=(2, 4))).reshape(-1)
