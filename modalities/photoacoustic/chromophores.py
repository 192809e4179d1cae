"""How strongly do blood and melanin absorb, and how fast is light lost in skin?

Haemoglobin: molar extinction in 1/cm/(mol/l), compiled by S. Prahl from data of W. B. Gratzer and N. Kollias,
"Tabulated Molar Extinction Coefficient for Hemoglobin in Water", Oregon Medical Laser Center, 1998
(omlc.org/spectra/hemoglobin/summary.html), every 10 nm. Melanosomes, baseline absorption of skin: S. Jacques,
omlc.org/spectra/melanin/mua.html and omlc.org/news/jan98/skinoptics.html, 1998. Scattering: S. Jacques,
"Optical properties of biological tissues: a review", Phys. Med. Biol. 58 (2013) R37, table 1, skin.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

NAMES = ("oxyhaemoglobin", "deoxyhaemoglobin", "melanin")
RANGE_NM = (650.0, 950.0)
BLOOD_MOLAR = 150 / 64_500
"""Haemoglobin in whole blood, mol/l: 150 g/l of 64,500 g/mol (Prahl, as above)."""

_OXY = (
    368, 319.6, 294, 277.6, 276, 290, 314, 348, 390, 446, 518, 586, 650, 710, 756, 816,
    864, 916, 974, 1022, 1058, 1092, 1128, 1154, 1178, 1198, 1214, 1224, 1222, 1214, 1204,
)  # fmt: skip
_DEOXY = (
    3750.12, 3226.56, 2795.12, 2407.92, 2051.96, 1794.28, 1540.48, 1325.88, 1102.2, 1115.88, 1405.24,
    1548.52, 1311.88, 1075.44, 890.8, 761.72, 717.08, 693.76, 693.04, 692.36, 691.32, 694.32, 705.84, 726.44,
    743.6, 761.84, 774.56, 777.36, 763.84, 693.44, 602.24,
)  # fmt: skip
_GRID = np.arange(650.0, 951.0, 10.0)


def absorption(wavelengths: Sequence[float]) -> Array:
    """Wavelengths x 3 absorption coefficients, 1/cm, in the order of `NAMES`.

    Of whole blood, fully oxygenated and fully deoxygenated, and of the inside of melanosomes; linear between
    the table's points. `wavelengths` in nm, inside `RANGE_NM`: outside is a `ValueError`, for nothing is
    extrapolated.
    """
    at = np.asarray(wavelengths, float)
    if at.size and not (RANGE_NM[0] <= at.min() and at.max() <= RANGE_NM[1]):
        raise ValueError(f"spectra are tabulated from {RANGE_NM[0]:g} to {RANGE_NM[1]:g} nm")
    molar = np.stack([np.interp(at, _GRID, _OXY), np.interp(at, _GRID, _DEOXY)], axis=1)
    melanosome = 1.70e12 * at**-3.48
    return np.column_stack([np.log(10) * molar * BLOOD_MOLAR, melanosome])


def effective_attenuation(wavelengths: Sequence[float], blood: float = 0.002, oxygen: float = 0.75) -> Array:
    """mu_eff of dermis, 1/cm, one a wavelength: sqrt(3 mu_a (mu_a + mu_s')), the diffusion approximation.

    `blood`: part of the volume (.2 % by default, as in Jacques 1998); `oxygen`: its saturation.
    """
    at = np.asarray(wavelengths, float)
    spectra = absorption(wavelengths)
    absorbed = baseline(at) + blood * (oxygen * spectra[:, 0] + (1 - oxygen) * spectra[:, 1])
    attenuation: Array = np.sqrt(3 * absorbed * (absorbed + scattering(at)))
    return attenuation


def baseline(wavelengths: Array) -> Array:
    """mu_a of skin without blood and melanin, 1/cm; Jacques 1998."""
    absorbed: Array = 0.244 + 85.3 * np.exp(-(wavelengths - 154) / 66.2)
    return absorbed


def scattering(wavelengths: Array) -> Array:
    """mu_s' of skin, 1/cm: 46 (nm / 500)^-1.421; Jacques 2013."""
    scattered: Array = 46.0 * (wavelengths / 500) ** -1.421
    return scattered
