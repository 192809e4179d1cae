"""Where is the eye in a fundus photograph, and how light was it there? Field, illumination and the green
band.

A fundus camera shows a disc of retina on black, often cut at top and bottom. Light falls off towards its rim
and is a factor, so that it is divided away (Foracchia et al., Med Image Anal 9:179, 2005). What remains is
taken as an optical density: haemoglobin absorbs most in the green band, melanin and the macular pigment in
green and blue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIDE = 384
"""Pixels across the field after `flatten`: 35 um of retina each in a 45 degree photograph."""

RIM = 0.95
"""Share of the radius inside which pixels count; the rim is blurred and often coloured by the lamp."""

FALLOFF, COARSE = 24.0, 8
"""Sigma in pixels of what counts as illumination, nearly a disc of the optic nerve, and the factor by which
the picture is shrunk while it is found.
"""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Field:
    """The disc of retina in a picture: centre and radius in pixels. `found` is false where there is none, and
    then it is the largest circle of the picture. `agreement` is the share of the rim that lies on the circle.
    """

    x: float
    y: float
    radius: float
    found: bool
    agreement: float


@dataclass(frozen=True)
class Flat:
    """The field at SIDE x SIDE pixels. `density` SIDE x SIDE x 3: red, green, blue, natural logarithms, above
    zero where less light comes back than from around; `inside` is true within the rim.
    """

    density: Floats
    inside: npt.NDArray[np.bool_]
    field: Field


def find_field(pixels: npt.NDArray[np.uint8]) -> Field:
    """uint8 H x W x 3 to the circle of the field.

    The edge of what is not black, row by row, without points on the picture's border; a circle by algebraic
    least squares (Kasa, IEEE Trans Instrum Meas 25:8, 1976), fitted again to the points within 2 % of it.
    """
    height, width = pixels.shape[:2]
    light = pixels.max(axis=2).astype(np.float32)
    bright = light > max(12.0, 0.18 * float(np.quantile(light, 0.9)))
    whole = Field(width / 2, height / 2, min(height, width) / 2, found=False, agreement=0.0)
    rows = np.flatnonzero(bright.mean(axis=1) > 0.05)
    if len(rows) < 16:
        return whole
    first = bright[rows].argmax(axis=1)
    last = width - 1 - bright[rows, ::-1].argmax(axis=1)
    x = np.concatenate([first, last]).astype(float)
    y = np.concatenate([rows, rows]).astype(float)
    free = (x > 1) & (x < width - 2)
    x, y = x[free], y[free]
    if len(x) < 16:
        return whole
    for _ in range(3):
        system = np.column_stack([2 * x, 2 * y, np.ones_like(x)])
        (cx, cy, c), *_ = np.linalg.lstsq(system, x**2 + y**2, rcond=None)
        radius = float(np.sqrt(max(c + cx**2 + cy**2, 0.0)))
        near = np.abs(np.hypot(x - cx, y - cy) - radius) < 0.02 * max(radius, 1.0)
        if near.sum() < 16:
            return whole
        agreement = float(near.sum() / max(1, 2 * len(rows)))
        x, y = x[near], y[near]
    plausible = 0.3 * min(height, width) < radius < 0.75 * max(height, width)
    if not plausible or agreement < 0.4:
        return whole
    return Field(float(cx), float(cy), radius, found=True, agreement=agreement)


def flatten(pixels: npt.NDArray[np.uint8]) -> Flat:
    """uint8 H x W x 3, sRGB, to optical densities of the field without the lamp's falloff."""
    from PIL import Image

    field = find_field(pixels)
    left, top = round(field.x - field.radius), round(field.y - field.radius)
    box = (left, top, round(field.x + field.radius), round(field.y + field.radius))
    square = Image.fromarray(pixels).crop(box).resize((SIDE, SIDE), Image.Resampling.BOX)
    linear = (np.asarray(square, np.float32) / 255) ** 2.2 + 1e-3
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    inside = np.hypot(x, y) < RIM
    log = np.log(linear)
    weight = _blurred(inside.astype(np.float32)) + 1e-3
    density = np.empty_like(log)
    for k in range(3):
        around = _blurred(np.where(inside, log[..., k], 0).astype(np.float32)) / weight
        density[..., k] = np.where(inside, around - log[..., k], 0)
    return Flat(density, inside, field)


def _blurred(image: Floats) -> Floats:
    """A Gaussian of FALLOFF, at the resolution that it leaves."""
    from PIL import Image
    from scipy.ndimage import gaussian_filter

    small = image.reshape(SIDE // COARSE, COARSE, SIDE // COARSE, COARSE).mean(axis=(1, 3))
    wide = Image.fromarray(gaussian_filter(small, FALLOFF / COARSE))
    found: Floats = np.asarray(wide.resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.float32)
    return found
