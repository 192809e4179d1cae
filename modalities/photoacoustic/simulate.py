"""What would a photoacoustic scanner record of a lesion whose blood and melanin are known?

Absorbers are laid out in a section of skin, light is lost on its way down by what it meets, pressure is
absorbed energy, the detector blurs and adds noise. What is known and laid out: the depth of melanin is the
thickness of melanoma and of nevi (Breathnach et al., J. Med. Imaging 5 (2018) 015004, measured both);
melanoma has more vessels (He et al., Nat. Commun. 13 (2022), s41467-022-30471-9) and more deoxyhaemoglobin
than skin beside it; an angioma is dense blood without pigment. Thin or little pigmented melanomas, deep nevi
and sparse angiomas overlap. How far they do is our choice, not a measurement.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from core.errors import MissingExtra
from modalities.photoacoustic.chromophores import Array, absorption, baseline, scattering

MELANOMA, NEVUS, ANGIOMA = "nodular melanoma", "common nevus", "angioma"
ROW_UM, COLUMN_UM = 62.5, 100.0
ROWS, COLUMNS = 104, 104
_SETS = (
    (700, 760, 800, 850),
    (700, 730, 760, 800, 850, 900),
    (680, 715, 750, 780, 800, 825, 850, 900),
)


@dataclass(frozen=True)
class Section:
    """The truth of one section, depth x width: parts of the volume that are oxygenated blood, deoxygenated
    blood and melanosomes (x 3); `top`, the row of the surface; `melanin_um`, how deep the lesion's melanin
    reaches.
    """

    parts: Array
    top: int
    melanin_um: float


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """An IPASC file of a lesion of `kind`: 1 to 3 frames, 4 to 8 wavelengths in any order."""
    wavelengths = list(rng.permutation(_SETS[rng.integers(len(_SETS))]).astype(float))
    section = lay_out(kind, rng)
    clean = pressure(section, wavelengths)
    frames = [_recorded(clean, rng) for _ in range(rng.integers(1, 4))]
    return written(np.stack(frames), wavelengths, (ROW_UM, COLUMN_UM))


def lay_out(kind: str, rng: np.random.Generator) -> Section:
    """Skin with a lesion of `kind` in the middle. Raises `ValueError` for no known kind."""
    depth_um, melanin, vessels, oxygen = {
        MELANOMA: (rng.lognormal(np.log(1400), 0.5), rng.lognormal(np.log(0.05), 0.7), 16, 0.62),
        NEVUS: (rng.lognormal(np.log(550), 0.4), rng.lognormal(np.log(0.05), 0.5), 6, 0.76),
        ANGIOMA: (0.0, 0.0, 6, 0.72),
    }.get(kind, (None, 0.0, 0, 0.0))
    if depth_um is None:
        raise ValueError(f"no photoacoustic simulation of {kind}")
    top = int(rng.integers(4, 14))
    rows, columns = np.mgrid[:ROWS, :COLUMNS].astype(float)
    down = (rows - top + 0.5) * ROW_UM
    across = (columns - COLUMNS / 2 + rng.normal(0, 4)) * COLUMN_UM
    ragged = gaussian_filter(rng.normal(size=COLUMNS), 5) * 4
    skin = down > 0
    half = rng.uniform(1500, 3500)
    pigment = np.where(skin & (down < 100), rng.lognormal(np.log(0.02), 0.5), 0.0)
    floor = depth_um * np.sqrt(np.clip(1 - (across / half) ** 2, 0, None)) * np.exp(0.3 * ragged)
    body = skin & (down < floor)
    pigment = np.maximum(pigment, melanin * body * _mottled(rng))
    base = rng.uniform(0.001, 0.004)
    oxy, deoxy = np.where(skin, base * 0.75, 0.0), np.where(skin, base * 0.25, 0.0)
    if kind == ANGIOMA:
        reach = rng.lognormal(np.log(1200), 0.4)
        pool = skin & (down > 120) & ((across / half) ** 2 + (down / reach) ** 2 < 1)
        filled = rng.lognormal(np.log(0.25), 0.6) * (_mottled(rng) > rng.uniform(0.4, 1.0))
        saturated = np.clip(rng.normal(oxygen, 0.07), 0.3, 0.98)
        oxy, deoxy = oxy + pool * filled * saturated, deoxy + pool * filled * (1 - saturated)
    reach = max(depth_um, 800.0) * 1.6
    for _ in range(rng.poisson(vessels) + rng.poisson(5)):
        near = rng.random() < vessels / (vessels + 5)
        x = rng.normal(0, half * 0.7) if near else rng.uniform(-5000, 5000)
        z = rng.uniform(250, reach if near else 4500)
        radius, stretch = rng.uniform(50, 160), rng.lognormal(0.3, 0.6)
        inside = skin & (((across - x) / (radius * stretch)) ** 2 + ((down - z) / radius) ** 2 < 1)
        saturated = np.clip(rng.normal(oxygen if near else 0.76, 0.1), 0.2, 0.99)
        oxy = np.where(inside, saturated, oxy)
        deoxy = np.where(inside, 1 - saturated, deoxy)
    return Section(np.stack([oxy, deoxy, pigment], axis=-1), top, float(depth_um))


def pressure(section: Section, wavelengths: Sequence[float]) -> Array:
    """Depth x width x wavelengths: absorbed energy, mu_a times fluence.

    Light falls evenly on the surface and is lost by exp(-integral of mu_eff down), mu_eff of what stands in
    its way after lateral spreading by scattering (.5 mm): so deep blood is coloured by what lies above it,
    which the constants of the preprocessing do not know.
    """
    absorbed = section.parts @ absorption(wavelengths).T
    skin = (np.arange(ROWS) >= section.top)[:, None, None]
    at = np.asarray(wavelengths, float)
    around = gaussian_filter(absorbed, (0, 500 / COLUMN_UM, 0)) + baseline(at)
    lost = np.where(skin, np.sqrt(3 * around * (around + scattering(at))), 0.0)
    fluence = np.exp(-np.cumsum(lost, axis=0) * ROW_UM * 1e-4)
    return np.asarray(absorbed * fluence)


def _recorded(clean: Array, rng: np.random.Generator) -> Array:
    """Band-limited (70 um down, 120 um across), a little moved, each wavelength with noise of its own."""
    moved = np.roll(clean, rng.integers(-1, 2), axis=1)
    blurred = gaussian_filter(moved, (70 / ROW_UM, 120 / COLUMN_UM, 0))
    level = rng.uniform(0.004, 0.012) * blurred.max()
    gain = rng.lognormal(0, 0.02, blurred.shape[2])
    return np.asarray(blurred * gain + rng.normal(0, level, blurred.shape))


def _mottled(rng: np.random.Generator) -> Array:
    """A field of mean about 1 whose patches are some 300 um wide."""
    return np.asarray(np.exp(4 * gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), 3) - 0.07))


def written(frames: Array, wavelengths: Sequence[float], spacing_um: tuple[float, float]) -> bytes:
    """IPASC HDF5 of frames x depth x width x wavelengths; nm and micrometres become metres."""
    try:
        import h5py
    except ImportError:
        raise MissingExtra("simulating photoacoustic files", "spectral") from None

    count, rows, columns, _ = frames.shape
    image = frames.transpose(2, 1, 3, 0).astype(np.float32)
    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        file.create_dataset("binary_time_series_data", data=image, compression="gzip", compression_opts=1)
        about = file.create_group("meta_data")
        about["dimensionality"], about["encoding"], about["compression"] = "space", "raw", "none"
        about["data_type"], about["uuid"] = "float32", "00000000-0000-0000-0000-000000000000"
        about["sizes"] = np.array(image.shape)
        about["acquisition_wavelengths"] = np.asarray(wavelengths) * 1e-9
        about["measurement_timestamps"] = np.arange(count) * 0.1
        device = file.create_group("meta_data_device/general")
        width, depth = columns * spacing_um[1] * 1e-6, rows * spacing_um[0] * 1e-6
        device["field_of_view"] = np.array([0, width, 0, 0, 0, depth])
        device["unique_identifier"] = "simulated"
    return target.getvalue()
