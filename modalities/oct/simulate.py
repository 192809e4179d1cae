"""How does a scanner picture simulated skin? Single scattering, exponential speckle, noise, a file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from modalities.oct.anatomy import COLUMN_MM, ROW_MM, SLICE_MM, Anatomy, Array, add_lesion, draw_skin
from modalities.oct.writing import write_tiff


@dataclass(frozen=True)
class Scanner:
    """Noise below the brightest skin in dB, range of logarithmic files in dB, B-scans that are averaged, and
    whether files hold the logarithm in 8 bits or intensities in 16.
    """

    noise_db: float = -30.0
    range_db: float = 45.0
    averaged: int = 1
    logarithmic: bool = True


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """A scanner and its setting, as clinics differ."""
    return Scanner(
        noise_db=float(rng.uniform(-34, -26)),
        range_db=float(rng.uniform(40, 52)),
        averaged=int(rng.integers(1, 4)),
        logarithmic=bool(rng.random() < 0.75),
    )


def intensity(skin: Anatomy, scanner: Scanner, rng: np.random.Generator) -> Array:
    """Intensity of every voxel, slices x rows x columns; 1 is the mean of bright skin at the surface.

    I(z) = mu(z) exp(-2 times the integral of mu from the surface to z), single scattering of which a fixed
    share comes back; times speckle, which is exponentially distributed where one B-scan is shown.
    """
    passed = np.cumsum(skin.mu, axis=1) * ROW_MM
    mean = skin.mu * np.exp(-2 * (passed - skin.mu * ROW_MM / 2)) / 5
    noise = 10 ** (scanner.noise_db / 10)
    total = np.zeros_like(mean)
    for _ in range(scanner.averaged):
        real, imaginary = (
            np.sqrt(mean) * _grains(rng, mean.shape) + np.sqrt(noise) * rng.normal(size=mean.shape)
            for _ in range(2)
        )
        total += (real**2 + imaginary**2) / 2
    return total / scanner.averaged


def _grains(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Normal numbers that are alike over a voxel or so, as a point-spread function makes them."""
    raw = gaussian_filter(rng.normal(size=shape), (0, 0.55, 0.45), truncate=3)
    grains: Array = raw / raw.std()
    return grains


def stored(values: Array, scanner: Scanner) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """What the scanner's file holds, with a scanner's own clipping."""
    if not scanner.logarithmic:
        return np.rint(np.clip(values / 12, 0, 1) * 65535).astype(np.uint16)
    decibels = 10 * np.log10(np.maximum(values, 1e-9))
    shown = np.clip((decibels + scanner.range_db - 9) / scanner.range_db, 0, 1)
    return np.rint(255 * shown).astype(np.uint8)


def draw_volume(
    kind: str, rng: np.random.Generator, scanner: Scanner | None = None
) -> tuple[npt.NDArray[np.uint8] | npt.NDArray[np.uint16], Anatomy, Scanner]:
    """What a file of a lesion of `kind` holds, and the truth behind it."""
    setting = scanner or draw_scanner(rng)
    skin = draw_skin(rng)
    add_lesion(kind, skin, rng)
    return stored(intensity(skin, setting, rng), setting), skin, setting


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """The bytes of one simulated multi-page TIFF of a lesion of that kind."""
    values, _, _ = draw_volume(kind, rng)
    return write_tiff(values, (1e3 * ROW_MM, 1e3 * COLUMN_MM, 1e3 * SLICE_MM))
