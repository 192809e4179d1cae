"""How far is each statistic of an image from those of the training images, in their own spreads?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modalities.gate.looks import LOOKS, SHARES, FloatArray

FARTHEST = 5.0
"""Spreads beyond which a statistic counts no more: one odd number of an image is not all of it."""

_SHARES = [LOOKS.index(name) for name in SHARES]


@dataclass(frozen=True)
class Standard:
    """Medians and spreads of statistics; of the shares, of their square roots."""

    centre: FloatArray
    spread: FloatArray

    def __call__(self, looks: FloatArray) -> FloatArray:
        """Statistics N x `LOOKS`, or of one image, in spreads from the median, within +-`FARTHEST`."""
        return np.asarray(np.clip((_rooted(looks) - self.centre) / self.spread, -FARTHEST, FARTHEST))

    @classmethod
    def fit(cls, looks: FloatArray) -> Standard:
        """From statistics N x `LOOKS`. The spread is half of what holds the middle 68 %, never nothing."""
        rooted = _rooted(looks)
        low, high = np.quantile(rooted, [0.16, 0.84], axis=0)
        return cls(np.median(rooted, axis=0), (high - low) / 2 + 0.02 * rooted.std(axis=0) + 1e-3)


def _rooted(looks: FloatArray) -> FloatArray:
    rooted = np.array(looks, np.float64)
    rooted[..., _SHARES] = np.sqrt(rooted[..., _SHARES])
    return rooted
