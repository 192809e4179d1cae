"""What would a multiphoton tomograph record of skin whose cells and fibres are known?

Cells glow but for nucleus and border, collagen below the junction doubles the frequency, both fade with depth
and arrive as photons. What is known and laid out: melanoma has large bright cells of unequal size scattered
through a disordered epidermis (Dimitrow et al., J. Invest. Dermatol. 129 (2009) 1752; Balu et al., Cancer
Res. 74 (2014) 2688); a common nevus an ordered epidermis and nests of round cells in collagen (Lentsch et
al., Pigment Cell Melanoma Res. 33 (2020) 869); basal cell carcinoma dark-bordered nests of elongated cells in
one direction, without collagen inside (Seidenari et al., Exp. Dermatol. 21 (2012) 831). Early melanomas,
disordered nevi and small carcinomas overlap; how far is our choice, not a measurement.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from core.errors import MissingExtra
from modalities.multiphoton.photons import Array

MELANOMA, NEVUS, CARCINOMA = "superficial spreading melanoma", "common nevus", "basal cell carcinoma"
SIZE, PIXEL_UM = 100, 1.8
"""Pixels of a side, and micrometres of one."""


@dataclass(frozen=True)
class Volume:
    """The truth of one stack, depth x height x width: light that cells and collagen would send without
    loss, 0 to about 1.5; `depths_um` of the planes; `junction_um`, height x width, where dermis begins.
    """

    fluorescence: Array
    harmonic: Array
    depths_um: Array
    junction_um: Array


@dataclass(frozen=True)
class _Plan:
    """What a kind is drawn from: cells that wander in the epidermis, disorder 0 to 1, nests below it, their
    radius in um, how bright and how elongated their cells are, and the collagen around.
    """

    wandering: float
    disorder: float
    nests: float
    radius_um: float
    glow: float
    stretch: float
    collagen: float


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """An OME-TIFF of a lesion of `kind`: 6 to 9 planes, two or three channels in any order, 16 bits."""
    volume = lay_out(kind, rng)
    excitation = float(rng.choice([760, 780, 800]))
    counts = recorded(volume, rng)
    channels = [
        (excitation, excitation / 2, counts[1]),
        (excitation, float(rng.uniform(450, 520)), counts[0]),
    ]
    if rng.random() < 0.4:
        dim = gaussian_filter(counts[0], (0, 1, 1)) * 0.4
        channels.append((excitation, 600.0, dim.round()))
    order = rng.permutation(len(channels))
    step = float(np.diff(volume.depths_um)[0])
    stack = np.stack([channels[k][2] for k in order], axis=-1)
    return written(stack, [channels[k][:2] for k in order], (PIXEL_UM, PIXEL_UM, step))


def lay_out(kind: str, rng: np.random.Generator) -> Volume:
    """Skin with a lesion of `kind`. Raises `ValueError` for no known kind."""
    grade = rng.beta(2, 2)
    plan = {
        MELANOMA: _Plan(8 + 36 * grade, 0.3 + 0.6 * grade, 3, 22, 1.3, 1.0, 0.7),
        NEVUS: _Plan(1 + 7 * grade, 0.1 + 0.3 * grade, 10, 20, 1.3, 1.0, 1.0),
        CARCINOMA: _Plan(1 + 3 * grade, 0.15 + 0.3 * grade, 6, 40, 0.4 + 0.3 * grade, 1.5 + grade, 1.3),
    }.get(kind)
    if plan is None:
        raise ValueError(f"no multiphoton simulation of {kind}")
    steps = np.arange(rng.integers(6, 10), dtype=np.float64)
    depths: Array = np.asarray(rng.uniform(15, 30) + steps * rng.uniform(11, 15), np.float64)
    papillae = gaussian_filter(rng.normal(size=(SIZE, SIZE)), 8)
    junction = rng.uniform(60, 85) + 12 * papillae / papillae.std()
    nests = _nests(plan, junction, rng)
    wanderers = _wanderers(plan, rng)
    glow, doubled = [], []
    for depth in depths:
        epidermis = 1 / (1 + np.exp((depth - junction) / 2))
        cells = _cells(rng, 8 + 8 * np.clip(1 - depth / 70, 0, 1), plan.disorder, 1.0, 0.0)
        inside, cellular = _inside(nests, depth, plan, rng)
        elastin = 0.25 * _fibres(rng, 2.0) ** 2
        light = epidermis * 0.6 * cells + (1 - epidermis) * elastin
        light = light * (1 - inside) + inside * plan.glow * cellular
        glow.append(np.maximum(light, _bright(wanderers, depth) * epidermis))
        doubled.append((1 - epidermis) * (1 - inside) * plan.collagen * _fibres(rng, 3.0))
    return Volume(np.stack(glow), np.stack(doubled), depths, junction)


def recorded(volume: Volume, rng: np.random.Generator) -> tuple[Array, Array]:
    """Grey levels of fluorescence and harmonic: loss with depth, blur of 1.5 um, photons, gain and offset."""
    left = np.exp(-(volume.depths_um - volume.depths_um[0]) / rng.uniform(60, 140))[:, None, None]
    counts = []
    both = (volume.fluorescence, rng.uniform(12, 40)), (volume.harmonic, rng.uniform(8, 30))
    for light, strength in both:
        seen = gaussian_filter(light * left * strength, (0, 1.5 / PIXEL_UM, 1.5 / PIXEL_UM))
        photons = rng.poisson(np.maximum(seen, 0) + 0.3)
        counts.append(np.clip((photons * rng.uniform(20, 60) + rng.uniform(50, 200)).round(), 0, 65_535))
    return counts[0], counts[1]


def written(
    stack: Array, channels: Sequence[tuple[float, float]], sizes_um: tuple[float, float, float]
) -> bytes:
    """OME-TIFF of depth x height x width x channels; (excitation, emission) in nm; sizes x, y, z."""
    try:
        import tifffile
    except ImportError:
        raise MissingExtra("simulating multiphoton files", "spectral") from None

    depth, height, width, count = stack.shape
    told = "".join(
        f'<Channel ID="Channel:0:{k}" Name={quoteattr(f"detector {k}")} SamplesPerPixel="1" '
        f'ExcitationWavelength="{light:g}" ExcitationWavelengthUnit="nm" '
        f'EmissionWavelength="{seen:g}" EmissionWavelengthUnit="nm"/>'
        for k, (light, seen) in enumerate(channels)
    )
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" '
        f'SizeX="{width}" SizeY="{height}" SizeZ="{depth}" SizeC="{count}" SizeT="1" '
        f'PhysicalSizeX="{sizes_um[0]}" PhysicalSizeY="{sizes_um[1]}" PhysicalSizeZ="{sizes_um[2]}">'
        f'{told}<TiffData IFD="0" PlaneCount="{depth * count}"/></Pixels></Image></OME>'
    )
    pages = stack.transpose(0, 3, 1, 2).reshape(-1, height, width).astype(np.uint16)
    target = io.BytesIO()
    with tifffile.TiffWriter(target) as writer:
        for number, page in enumerate(pages):
            text = xml if number == 0 else None
            writer.write(page, photometric="minisblack", description=text, metadata=None, contiguous=False)
    return target.getvalue()


def _cells(rng: np.random.Generator, size: float, disorder: float, stretch: float, turn: float) -> Array:
    """Cytoplasm of a layer of cells `size` um apart: dark nuclei, darker borders; 0 to 1."""
    reach = SIZE * PIXEL_UM
    rows = np.arange(-2 * size, reach + 2 * size, size * 0.87)
    columns = np.arange(-size, reach + size, size)
    grid = [(y, x + (k % 2) * size / 2) for k, y in enumerate(rows) for x in columns]
    centres = np.array(grid) + rng.normal(0, size * (0.08 + 0.3 * disorder), (len(grid), 2))
    squeeze = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * [1.0, 1 / stretch]
    pixels = np.mgrid[:SIZE, :SIZE].reshape(2, -1).T * PIXEL_UM
    away, nearest = cKDTree(centres @ squeeze).query(pixels @ squeeze, k=2)
    level = rng.lognormal(0, 0.1 + 0.35 * disorder, len(centres))[nearest[:, 0]]
    nucleus = np.exp(-((away[:, 0] / (0.26 * size)) ** 4))
    border = np.exp(-(((away[:, 1] - away[:, 0]) / (0.14 * size)) ** 2)) * (1 - 0.6 * disorder)
    return np.asarray(level * (1 - 0.75 * nucleus) * (1 - 0.7 * border)).reshape(SIZE, SIZE)


def _fibres(rng: np.random.Generator, width_um: float) -> Array:
    """Bundles in two directions, 0 to about 1.5."""
    noise = rng.normal(size=(2, SIZE, SIZE))
    thin, long = width_um / PIXEL_UM / 2, 12 / PIXEL_UM
    mixed = gaussian_filter(noise[0], (thin, long)) + gaussian_filter(noise[1], (long, thin))
    return np.asarray(np.clip(0.5 + 0.45 * mixed / mixed.std(), 0, 1.5))


def _nests(plan: _Plan, junction: Array, rng: np.random.Generator) -> Array:
    """Each nest: depth, row, column in um, and radius."""
    count = rng.poisson(plan.nests)
    place = rng.uniform(0, SIZE, (count, 2))
    top = junction[place[:, 0].astype(int), place[:, 1].astype(int)]
    radius = plan.radius_um * rng.lognormal(0, 0.15 + 0.3 * plan.disorder, count)
    return np.column_stack([top + radius * rng.uniform(0.3, 1.1, count), place * PIXEL_UM, radius])


def _inside(nests: Array, depth: float, plan: _Plan, rng: np.random.Generator) -> tuple[Array, Array]:
    """Where this plane cuts nests, 0 to 1, and the cells in there."""
    y, x = np.mgrid[:SIZE, :SIZE] * PIXEL_UM
    inside = np.zeros((SIZE, SIZE))
    for z, row, column, radius in nests:
        away = np.sqrt((depth - z) ** 2 + (y - row) ** 2 + (x - column) ** 2)
        inside = np.maximum(inside, 1 / (1 + np.exp(np.clip((away - radius) / 1.5, -50, 50))))
    return inside, _cells(rng, 9.0, plan.disorder, plan.stretch, rng.normal(0.8, 0.2))


def _wanderers(plan: _Plan, rng: np.random.Generator) -> Array:
    """Bright cells in the epidermis: depth, row, column, radius in um."""
    count = rng.poisson(plan.wandering)
    radius = rng.lognormal(np.log(6.5), 0.1 + 0.4 * plan.disorder, count)
    return np.column_stack([rng.uniform(10, 80, count), rng.uniform(0, SIZE * PIXEL_UM, (count, 2)), radius])


def _bright(cells: Array, depth: float) -> Array:
    y, x = np.mgrid[:SIZE, :SIZE] * PIXEL_UM
    light = np.zeros((SIZE, SIZE))
    for z, row, column, radius in cells:
        away = np.sqrt((0.7 * (depth - z)) ** 2 + (y - row) ** 2 + (x - column) ** 2) / radius
        light = np.maximum(light, 1.4 * np.exp(-(away**4)) * (1 - 0.6 * np.exp(-((away / 0.4) ** 4))))
    return light
