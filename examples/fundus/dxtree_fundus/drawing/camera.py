"""How does light from a fundus reach a file? Absorption by layers, falloff, lens, blur, noise and JPEG."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from dxtree_fundus.drawing.anatomy import GRID_X, GRID_Y, RADIUS, Floats
from dxtree_fundus.drawing.lesions import Canvas, spot

BED = (0.62, 0.21, 0.075)
"""Share of red, green and blue that sclera and choroid send back without pigment, linear: drawn, not
measured.
"""

MELANIN, BLOOD, MACULAR = (0.22, 0.55, 0.75), (0.22, 1.25, 1.45), (0.0, 0.05, 0.5)
"""Natural absorbance by band of a unit of each: ratios after the spectra of melanin and haemoglobin, which
absorb green and blue most (Delori & Pflibsen, Appl Opt 28:1061, 1989).
"""

NERVE, CUP = (0.80, 0.52, 0.27), (0.95, 0.80, 0.55)


def photograph(
    canvas: Canvas, random: np.random.Generator, *, swollen: bool = False
) -> npt.NDArray[np.uint8]:
    """uint8 H x W x 3, sRGB, before the file is written. `swollen` blurs the edge of the disc."""
    from scipy.ndimage import gaussian_filter

    a = canvas.anatomy
    far = np.hypot(GRID_X - a.fovea[0], GRID_Y - a.fovea[1])
    macular = np.exp(-((far / 18) ** 2))
    edge = 9.0 if swollen else 2.0
    grown = a.disc_radius * (1.25 if swollen else 1.0)
    disc = _whole(a.disc, (0.94 * grown, grown), edge=edge)
    at = (a.disc[0] - 0.08 * a.disc_radius, a.disc[1])
    cup = _whole(at, (0.94 * a.cup * a.disc_radius, a.cup * a.disc_radius), edge=4.0) * (
        0.2 if swollen else 1.0
    )
    age = random.uniform(0.0, 0.35)
    picture = np.empty((*far.shape, 3), np.float32)
    light = _lamp(a.centre, random)
    for k in range(3):
        band = BED[k] * np.exp(-MELANIN[k] * a.melanin - MACULAR[k] * macular)
        band = band * (1 - disc) + NERVE[k] * disc
        band = band * (1 - cup) + CUP[k] * cup
        band = band * (1 - canvas.opacity) + canvas.colour[..., k]
        # the wall of a vessel sends some light back: a vessel is never black
        band = band * np.exp(-BLOOD[k] * (0.62 * a.vessels * (1 - 0.4 * cup) + canvas.blood))
        picture[..., k] = band * light * np.exp(-age * (0.0, 0.3, 0.9)[k])
    picture = gaussian_filter(picture, (s := random.uniform(0.6, 1.3), s, 0))
    inside = np.hypot(GRID_X - a.centre[0], GRID_Y - a.centre[1]) < RADIUS
    exposure = random.uniform(0.55, 0.95) / float(np.quantile(picture[inside][:, 0], 0.98))
    balance = random.normal(1, 0.06, 3)
    linear = np.where(inside[..., None], picture * (exposure * balance).astype(np.float32), np.float32(0))
    noise = random.standard_normal(linear.shape, np.float32)
    linear = linear + noise * (0.003 + 0.012 * np.sqrt(np.clip(linear, 0, None)))
    display: npt.NDArray[np.uint8] = np.round(255 * np.clip(linear, 0, 1) ** np.float32(1 / 2.2)).astype(
        np.uint8
    )
    return display


def encode(pixels: npt.NDArray[np.uint8], quality: int) -> bytes:
    """A JPEG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _whole(at: tuple[float, float], size: tuple[float, float], edge: float) -> Floats:
    """An ellipse on the whole picture."""
    where, shape = spot(at, size, edge=edge)
    drawn: Floats = np.zeros(GRID_X.shape, np.float32)
    drawn[where] = shape
    return drawn


def _lamp(centre: tuple[float, float], random: np.random.Generator) -> Floats:
    """Falloff with the square of the distance from an axis that is never quite in the middle."""
    at = [c + random.normal(0, 35) for c in centre]
    far = np.hypot(GRID_X - at[0], GRID_Y - at[1]) / RADIUS
    light: Floats = (1 - random.uniform(0.2, 0.55) * np.clip(far, 0, 1.3) ** 2 / 1.3).astype(np.float32)
    return light
