"""How much oxyhaemoglobin, deoxyhaemoglobin and melanin explains what was measured?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from core.errors import UnsupportedPixels
from modalities.photoacoustic.chromophores import NAMES, RANGE_NM, Array, absorption

MOST_CONDITION = 60.0
"""Of the spectra, each scaled to length 1: how many times noise may grow in the amounts."""
NEEDED = (
    f"three wavelengths at least within {RANGE_NM[0]:g} to {RANGE_NM[1]:g} nm that tell blood from melanin, "
    "such as 700, 760, 800 and 850 nm"
)


def unmix(spectra: Array, wavelengths: Sequence[float]) -> Array:
    """Amounts, pixels x 3 in the order of `NAMES`, none below zero, that explain pixels x wavelengths best.

    The exact least-squares answer under that bound: of the eight sets of absorbers that may be present, the
    one of least residue whose amounts are all positive. `wavelengths` in nm. Raises `UnsupportedPixels` for
    wavelengths that cannot tell the three apart.
    """
    table = usable(wavelengths)
    energy = (spectra**2).sum(axis=1)
    best, amounts = energy.copy(), np.zeros((len(spectra), len(NAMES)))
    for count in range(1, len(NAMES) + 1):
        for present in combinations(range(len(NAMES)), count):
            some = table[:, present]
            found = spectra @ np.linalg.pinv(some).T
            residue = ((spectra - found @ some.T) ** 2).sum(axis=1)
            better = (found >= 0).all(axis=1) & (residue < best)
            best = np.where(better, residue, best)
            amounts[better] = 0
            amounts[np.ix_(better, present)] = found[better]
    return amounts


def usable(wavelengths: Sequence[float]) -> Array:
    """Wavelengths x 3 absorption coefficients, 1/cm, that tell the three apart; else `UnsupportedPixels`."""
    if len(wavelengths) < len(NAMES):
        raise UnsupportedPixels(f"wavelengths cannot be unmixed; needed: {NEEDED}")
    table = absorption(wavelengths)
    if np.linalg.cond(table / np.linalg.norm(table, axis=0)) > MOST_CONDITION:
        raise UnsupportedPixels(f"wavelengths lie too close to be unmixed; needed: {NEEDED}")
    return table


def saturation(amounts: Array) -> Array:
    """Oxygen saturation, 0 to 1, one a pixel; NaN where there is no blood."""
    blood = amounts[:, 0] + amounts[:, 1]
    with np.errstate(invalid="ignore"):
        oxygen: Array = np.where(blood > 0, amounts[:, 0] / np.where(blood > 0, blood, 1), np.nan)
    return oxygen
