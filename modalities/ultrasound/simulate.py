"""How does a scanner of 20 to 75 MHz picture simulated skin? Speckle, beam, attenuation, log compression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from modalities.ultrasound.anatomy import COLUMN_MM, KINDS, ROW_MM, Anatomy, Array, draw_skin
from modalities.ultrasound.writing import write_dicom

SOUND_MM_PER_US = 1.54
FREQUENCIES_MHZ = (20.0, 22.0, 33.0, 50.0)
_BANDWIDTH = 0.6
_F_NUMBER = 2.2
_FWHM = 2.355


@dataclass(frozen=True)
class Scanner:
    """Frequency in MHz; time-gain compensation in dB per mm; noise below dermis in dB; dynamic range in dB;
    share of the range that dermis reaches at the surface.
    """

    frequency_mhz: float = 22.0
    gain_db_per_mm: float = 3.0
    noise_db: float = -42.0
    range_db: float = 60.0
    level: float = 0.72

    @property
    def spot_mm(self) -> tuple[float, float]:
        """Full width at half maximum of the point-spread function, along and across the beam.

        c / (2 B) for a bandwidth B of .6 of the frequency, and 1.2 wavelengths times an f-number of 2.2.
        """
        wavelength = SOUND_MM_PER_US / self.frequency_mhz
        return wavelength / (2 * _BANDWIDTH), 1.2 * wavelength * _F_NUMBER


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """A scanner and its setting, as clinics differ."""
    return Scanner(
        frequency_mhz=float(rng.choice(FREQUENCIES_MHZ)),
        gain_db_per_mm=float(rng.uniform(1.5, 6)),
        noise_db=float(rng.uniform(-48, -36)),
        range_db=float(rng.uniform(50, 68)),
        level=float(rng.uniform(0.62, 0.8)),
    )


def picture(skin: Anatomy, scanner: Scanner, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One B-mode frame: grey levels, rows x columns of the grid.

    Scatterers without number give a complex Gaussian field, whose envelope after the point-spread function is
    Rayleigh distributed: fully developed speckle. Sound is lost twice, on its way down and back.
    """
    down, across = scanner.spot_mm
    # The amplitude's width is sqrt(2) of the intensity's.
    sigma = (np.sqrt(2) * down / _FWHM / ROW_MM, np.sqrt(2) * across / _FWHM / COLUMN_MM)
    lost = 2 * scanner.frequency_mhz * np.cumsum(skin.loss, axis=0) * ROW_MM
    beam = gaussian_filter(lost, (0, sigma[1]))  # a shadow is no sharper than the beam
    strength = 10 ** (skin.echo / 20)
    field = _speckle(rng, strength, sigma)
    level = 20 * np.log10(np.abs(field) + 1e-9) - beam
    noise = _speckle(rng, np.full_like(strength, 10 ** (scanner.noise_db / 20)), (sigma[0], 0.35))
    received = 10 * np.log10(10 ** (level / 10) + np.abs(noise) ** 2)
    shown = received + scanner.gain_db_per_mm * np.maximum(skin.depth, 0)
    grey = 255 * (scanner.level + shown / scanner.range_db)
    stored: npt.NDArray[np.uint8] = np.rint(np.clip(grey, 0, 255)).astype(np.uint8)  # as a scanner clips
    return stored


def _speckle(
    rng: np.random.Generator, strength: Array, sigma: tuple[float, float]
) -> npt.NDArray[np.complex128]:
    """A complex field of mean intensity `strength` squared where that is even."""
    parts = [
        gaussian_filter(strength * rng.normal(scale=np.sqrt(0.5), size=strength.shape), sigma, truncate=3)
        for _ in range(2)
    ]
    gain = 1 / np.sqrt(4 * np.pi * max(sigma[0], 0.283) * max(sigma[1], 0.283))
    field: npt.NDArray[np.complex128] = (parts[0] + 1j * parts[1]) / np.sqrt(gain)
    return field


def draw_frames(
    kind: str, rng: np.random.Generator, scanner: Scanner | None = None
) -> tuple[npt.NDArray[np.uint8], Anatomy, Scanner]:
    """One to three frames of a lesion of `kind`, from which the hand has moved on enough for new speckle."""
    setting = scanner or draw_scanner(rng)
    skin = draw_skin(rng)
    KINDS[kind](skin, rng)
    frames = [picture(skin, setting, rng) for _ in range(int(rng.integers(1, 4)))]
    return np.stack(frames), skin, setting


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """The bytes of one simulated DICOM file of a lesion of that kind, on a scanner's screen."""
    frames, _, scanner = draw_frames(kind, rng)
    return write_dicom(
        frames,
        (ROW_MM, COLUMN_MM),
        scanner.frequency_mhz,
        colour=bool(rng.random() < 0.3),
        corner=(int(rng.integers(20, 60)), int(rng.integers(10, 40))),
    )
