"""What would a terahertz scanner record of skin whose water and horny layer are known?

Each pixel is a horny layer on a half space, both dry tissue with a part of water (`dielectric.tissue`), which
reflect a pulse with all echoes; the beam blurs by its wavelength, traces get noise. What is known and laid
out: basal cell carcinoma holds more water than skin and reflects more strongly (Woodward et al., J. Invest.
Dermatol. 120 (2003) 72; Wallace et al., Br. J. Dermatol. 151 (2004) 424), an ordinary nevus differs little
from skin, seborrhoeic keratosis is a thick dry horny layer. Small carcinomas, moist nevi and thin keratoses
overlap; how far is our choice, not a measurement.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from core.errors import MissingExtra
from modalities.terahertz.dielectric import LIGHT_UM_PS, Array, Complex, layered, tissue

CARCINOMA, NEVUS, KERATOSIS = "basal cell carcinoma", "common nevus", "seborrhoeic keratosis"
PITCH_MM = 0.5
STEP_PS, SAMPLES = 0.1, 256
_HIGHEST = 2.0
"""THz; above, the pulse has no strength."""


@dataclass(frozen=True)
class Patch:
    """The truth of one scan, rows x columns: `water` and `horny_water` as parts of the volume, `horny_um`
    and `height_um` in micrometres; `inside` is the lesion.
    """

    water: Array
    horny_water: Array
    horny_um: Array
    height_um: Array
    inside: Array


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """A dotTHz file of a lesion of `kind`: traces of 25 ps, a mirror's as reference, distances given."""
    rows, columns = rng.integers(32, 45, 2)
    patch = lay_out(kind, (int(rows), int(columns)), rng)
    return written(*recorded(patch, rng))


def lay_out(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> Patch:
    """Skin with a lesion of `kind` near the middle. Raises `ValueError` for no known kind."""
    wetter, thicker, higher = {
        CARCINOMA: (rng.normal(0.10, 0.04), rng.normal(2, 4), rng.lognormal(np.log(60), 0.6)),
        NEVUS: (rng.normal(0.02, 0.025), rng.normal(2, 4), rng.lognormal(np.log(60), 0.6)),
        KERATOSIS: (rng.normal(-0.01, 0.02), rng.lognormal(np.log(35), 0.6), rng.lognormal(np.log(90), 0.6)),
    }.get(kind, (None, 0.0, 0.0))
    if wetter is None:
        raise ValueError(f"no terahertz simulation of {kind}")
    y, x = (np.mgrid[: shape[0], : shape[1]] - np.reshape(np.array(shape) / 2, (2, 1, 1))) * PITCH_MM
    y, x = y - rng.normal(0, 0.8), x - rng.normal(0, 0.8)
    angle, radius = np.arctan2(y, x), rng.lognormal(np.log(3.5), 0.35)
    turn, waves = rng.uniform(0, 2 * np.pi), rng.integers(2, 5)
    edge = radius * (1 + rng.uniform(0, 0.25) * np.cos(waves * angle + turn))
    inside = 1 / (1 + np.exp(np.clip((np.hypot(x, y) - edge) / 0.3, -50, 50)))
    rough = gaussian_filter(rng.normal(size=shape), 1.2) * 4
    water = rng.normal(0.63, 0.025) + wetter * inside * np.exp(0.25 * rough) + 0.008 * rough
    horny = np.clip(rng.normal(18, 3) + thicker * inside * np.exp(0.3 * rough), 8, 250)
    tilt = (rng.normal(0, 3) * x + rng.normal(0, 3) * y) + rng.normal(0, 15)
    return Patch(
        water=np.clip(water, 0.3, 0.92),
        horny_water=np.full(shape, np.clip(rng.normal(0.25, 0.05), 0.1, 0.4)),
        horny_um=horny,
        height_um=tilt + higher * inside * np.clip(1 - np.hypot(x, y) / (1.5 * radius), 0, 1),
        inside=inside,
    )


def reflected(patch: Patch, terahertz: Array) -> Complex:
    """Rows x columns x frequencies: reflection over that of a mirror at height 0, before the beam's blur."""
    upper, lower = (tissue(w[..., None], terahertz) for w in (patch.horny_water, patch.water))
    plain = layered(upper, lower, patch.horny_um[..., None], terahertz)
    omega = 2 * np.pi * terahertz
    return np.asarray(plain * np.exp(2j * omega * patch.height_um[..., None] / LIGHT_UM_PS))


def recorded(patch: Patch, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Traces, rows x columns x samples, the mirror's trace, and time in ps."""
    frequencies: Array = np.fft.rfftfreq(SAMPLES, STEP_PS).astype(np.float64)
    used = np.flatnonzero((frequencies > 0) & (frequencies <= _HIGHEST))
    at = frequencies[used]
    pulse = at * np.exp(-at / 0.35) * np.exp(-2j * np.pi * at * 12.0)
    seen = reflected(patch, at)
    for k, f in enumerate(at):
        blur = min(0.25 / f / PITCH_MM, 2.0)  # a beam of some .6 mm, full width at half height, at 1 THz
        parts = seen[..., k].real, seen[..., k].imag
        seen[..., k] = gaussian_filter(parts[0], blur) + 1j * gaussian_filter(parts[1], blur)
    spectrum = np.zeros((*seen.shape[:2], len(frequencies)), complex)
    spectrum[..., used] = seen * pulse
    mirror = np.zeros(len(frequencies), complex)
    mirror[used] = pulse
    traces, reference = -np.fft.irfft(spectrum, SAMPLES), -np.fft.irfft(mirror, SAMPLES)
    noise = np.abs(reference).max() * rng.uniform(1e-3, 4e-3)
    traces = traces * rng.normal(1, 0.01) + rng.normal(0, noise, traces.shape)
    return (
        traces,
        reference + rng.normal(0, noise / 10, SAMPLES),
        np.arange(SAMPLES, dtype=np.float64) * STEP_PS,
    )


def written(traces: Array, reference: Array, time: Array, pitch_mm: float = PITCH_MM) -> bytes:
    """The dotTHz file of traces, rows x columns x samples."""
    try:
        import h5py
    except ImportError:
        raise MissingExtra("simulating terahertz files", "spectral") from None

    target = io.BytesIO()
    with h5py.File(target, "w") as file:
        group = file.create_group("Image")
        for name, text in (("description", "simulated"), ("mode", "THz-TDS/Reflection"), ("version", "1.10")):
            group.attrs[name] = text
        group.attrs["dsDescription"] = "time,dataset,reference"
        group["ds1"], group["ds3"] = time, reference
        group["ds2"] = traces.transpose(1, 0, 2).astype(np.float32)
        group.attrs["mdDescription"] = "dx [mm],dy [mm],reference"
        group.attrs["md1"], group.attrs["md2"], group.attrs["md3"] = pitch_mm, pitch_mm, "mirror"
    return target.getvalue()
