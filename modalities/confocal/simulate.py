"""What would a confocal microscope record of a lesion whose truth is known? Stacks as TIFF.

Tissue reflects (`modalities.confocal.tissue`, `lesions`), the light fades as exp(-mu z), falls off towards
the edge of the field, interferes (speckle: a gamma distribution of few degrees of freedom, Goodman, "Speckle
phenomena in optics", 2007), the patient moves between planes and lines, and a detector counts photons and
stores 8 or 16 bits.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from modalities.confocal.lesions import Lesion, lesion_of, with_canals, with_cells, with_furrows, with_islands
from modalities.confocal.tissue import PIXELS, SPACING, Array, Grid, collagen, corneum, honeycomb

PLANES = 7
_FIRST, _LAST = 6.0, 118.0
"""Depths of the first plane and of the last, micrometres, before each is moved at random."""


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """A TIFF of `PLANES` planes, `PIXELS` x `PIXELS` of 500 micrometres, from the surface down."""
    planes = record(lesion_of(kind, rng), rng)
    bits = 16 if rng.random() < 0.3 else 8
    return stored(planes, bits)


def record(lesion: Lesion, rng: np.random.Generator) -> Array:
    """Planes x rows x columns as photons would be counted, 0 to about 1."""
    depths = np.linspace(_FIRST, _LAST, PLANES) + rng.normal(0, 4, PLANES)
    mu = rng.uniform(0.006, 0.016)
    fall_off = rng.uniform(0.2, 0.5)
    degrees = rng.uniform(3, 6)
    gain = rng.uniform(0.45, 0.75)
    shift = np.zeros(2)
    planes = np.empty((PLANES, PIXELS, PIXELS))
    for k, z in enumerate(sorted(depths)):
        shift = shift + rng.normal(0, 4, 2)
        grid = Grid.of((float(shift[0]), float(shift[1])))
        light = reflectance(lesion, grid, float(z), rng) * np.exp(-mu * z)
        radius = np.hypot(*np.meshgrid(*2 * (np.linspace(-1, 1, PIXELS),), indexing="ij"))
        light *= 1 - fall_off * (radius / np.sqrt(2)) ** 2
        light *= rng.gamma(degrees, 1 / degrees, light.shape)
        light = _shaken(light, rng)
        photons = rng.poisson(np.clip(gain * light, 0, None) * 300) / 300
        planes[k] = 0.03 + photons
    return planes


def reflectance(lesion: Lesion, grid: Grid, z: float, rng: np.random.Generator) -> Array:
    """One plane of tissue."""
    if z < 12:
        return with_furrows(corneum(grid, rng), grid, lesion)
    size = float(np.interp(z, [12, 40, 90], [27, 20, 13]))
    begins = lesion.junction.depth(grid)
    dermis = 1 / (1 + np.exp(-(z - begins) / 2.0))
    cells = honeycomb(grid, rng, size, lesion.disorder, dermis < 0.99)
    epidermis = with_furrows(cells, grid, lesion)
    basal = lesion.junction.edge * np.exp(-(((z - begins + 5) / 6) ** 2))
    deep = with_canals(collagen(grid, rng), grid, lesion, rng)
    light = epidermis * (1 - dermis) + deep * dermis + basal
    return with_cells(with_islands(light, grid, z, lesion, rng), grid, z, lesion.cells)


def _shaken(light: Array, rng: np.random.Generator) -> Array:
    """Lines moved along themselves by a slow random walk: a scan takes a tenth of a second."""
    walk = np.cumsum(rng.normal(0, 0.25, PIXELS))
    moved = np.rint(walk - walk.mean()).astype(np.intp)
    columns = np.clip(np.arange(PIXELS)[None, :] + moved[:, None], 0, PIXELS - 1)
    return np.take_along_axis(light, columns, axis=1)


def stored(planes: Array, bits: int) -> bytes:
    """Pages of one TIFF with the size of a pixel; what is too bright for the detector is stored as white."""
    top = 2**bits - 1
    values = np.clip(np.rint(planes * top), 0, top).astype(np.uint8 if bits == 8 else np.uint16)
    pages = [Image.fromarray(plane) for plane in values]
    tags = ImageFileDirectory_v2()
    tags[296] = 3  # centimetres
    tags[282] = tags[283] = 10_000 / SPACING
    file = io.BytesIO()
    pages[0].save(file, "TIFF", save_all=True, append_images=pages[1:], tiffinfo=tags)
    return file.getvalue()
