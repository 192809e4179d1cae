"""How do a nevus, a melanoma, a basal cell carcinoma and a seborrhoeic keratosis differ from healthy skin?

Signs after Pellacani et al., "The impact of in vivo reflectance confocal microscopy for the diagnostic
accuracy of melanoma and equivocal melanocytic lesions", Journal of Investigative Dermatology 127(12), 2007
(pagetoid cells, non-edged papillae, cellular atypia); Nori et al., "Sensitivity and specificity of
reflectance-mode confocal microscopy for in vivo diagnosis of basal cell carcinoma", Journal of the American
Academy of Dermatology 51(6), 2004 (elongated monomorphic nuclei, polarised along one axis; vessels); and, for
seborrhoeic keratosis, cords and keratin-filled cysts. How often and how strongly each sign is there are our
own numbers, set so that kinds overlap: no frequency of a clinic.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from modalities.confocal.tissue import FIELD, Array, Grid, Junction, streaming

MELANOMA, NEVUS = "melanoma", "nevus"
CARCINOMA, KERATOSIS = "basal cell carcinoma", "seborrhoeic keratosis"


@dataclass(frozen=True)
class Cell:
    """One bright round cell, or one keratin cyst: where it lies, how large and bright it is; micrometres."""

    z: float
    y: float
    x: float
    radius: float
    light: float
    nucleus: bool = True


@dataclass(frozen=True)
class Island:
    """One tumour island in the dermis: an ellipse in every plane, closed above `top`."""

    y: float
    x: float
    radii: tuple[float, float]
    turn: float
    top: float


@dataclass(frozen=True)
class Lesion:
    """What is drawn into one field."""

    disorder: float
    junction: Junction
    cells: tuple[Cell, ...] = ()
    islands: tuple[Island, ...] = ()
    vessels: tuple[tuple[float, float, float], ...] = ()
    """Angle, offset and half width of dark canals."""
    axis: float | None = None
    """The direction along which nuclei are polarised."""
    furrows: tuple[tuple[float, float], ...] = field(default=())
    """Angle and offset of keratin-filled dark clefts between cords."""


def lesion_of(kind: str, rng: np.random.Generator) -> Lesion:
    """Draws a lesion. Raises `KeyError` for another kind."""
    return {MELANOMA: _melanoma, NEVUS: _nevus, CARCINOMA: _carcinoma, KERATOSIS: _keratosis}[kind](rng)


def _junction(rng: np.random.Generator, step: float, disorder: float, edge: float, spread: float) -> Junction:
    return Junction.draw(
        rng, step=step, disorder=disorder, edge=edge, spread=spread,
        floor=rng.uniform(75, 105), height=rng.uniform(25, 45),
    )  # fmt: skip


def _somewhere(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(20, FIELD - 20)), float(rng.uniform(20, FIELD - 20))


def _pagetoid(rng: np.random.Generator, number: float, radius: float) -> list[Cell]:
    """Bright cells with dark nuclei above the junction."""
    return [
        Cell(
            rng.uniform(18, 60), *_somewhere(rng), radius * np.exp(rng.normal(0, 0.2)), rng.uniform(0.8, 1.4)
        )
        for _ in range(rng.poisson(number))
    ]


def _nest(rng: np.random.Generator, *, irregular: bool) -> list[Cell]:
    """Melanocytes together at the junction or below: alike and dense, or unlike and loose."""
    y, x = _somewhere(rng)
    z, size = rng.uniform(65, 100), rng.uniform(18, 34)
    number = rng.integers(10, 22)
    apart, vary = (0.9, 0.35) if irregular else (0.5, 0.08)
    return [
        Cell(
            z + rng.normal(0, 8),
            y + rng.normal(0, apart * size),
            x + rng.normal(0, apart * size),
            (7.5 if irregular else 5.5) * np.exp(rng.normal(0, vary)),
            rng.uniform(0.7, 1.2),
        )
        for _ in range(number)
    ]


def _melanoma(rng: np.random.Generator) -> Lesion:
    cells = _pagetoid(rng, rng.gamma(4.0, 3.0), 10.5)
    for _ in range(rng.poisson(2.0)):
        cells += _nest(rng, irregular=bool(rng.random() < 0.75))
    junction = _junction(rng, rng.uniform(70, 120), 0.24, edge=max(0.0, rng.normal(0.25, 0.25)), spread=0.35)
    return Lesion(rng.uniform(0.12, 0.28), junction, tuple(cells))


def _nevus(rng: np.random.Generator) -> Lesion:
    cells = _pagetoid(rng, rng.gamma(1.0, 1.5), 8.5)
    for _ in range(rng.poisson(3.5)):
        cells += _nest(rng, irregular=bool(rng.random() < 0.2))
    junction = _junction(rng, rng.uniform(70, 110), 0.10, edge=max(0.0, rng.normal(0.8, 0.3)), spread=0.15)
    return Lesion(rng.uniform(0.06, 0.18), junction, tuple(cells))


def _carcinoma(rng: np.random.Generator) -> Lesion:
    junction = _junction(rng, rng.uniform(90, 150), 0.2, edge=max(0.0, rng.normal(0.3, 0.25)), spread=0.3)
    islands = tuple(
        Island(
            *_somewhere(rng),
            (rng.uniform(35, 90), rng.uniform(25, 60)),
            rng.uniform(0, np.pi),
            rng.uniform(45, 90),
        )
        for _ in range(2 + rng.poisson(1.5))
    )
    vessels = _canals(rng, rng.poisson(2.0))
    axis = float(rng.uniform(0, np.pi)) if rng.random() < 0.7 else None
    return Lesion(rng.uniform(0.08, 0.2), junction, tuple(_pagetoid(rng, 0.7, 8.5)), islands, vessels, axis)


def _keratosis(rng: np.random.Generator) -> Lesion:
    cysts = [
        Cell(rng.uniform(15, 60), *_somewhere(rng), rng.uniform(14, 38), rng.uniform(1.0, 1.6), nucleus=False)
        for _ in range(rng.poisson(3.0))
    ]
    junction = _junction(rng, rng.uniform(45, 75), 0.16, edge=max(0.0, rng.normal(0.75, 0.3)), spread=0.25)
    furrows = tuple(
        (float(rng.uniform(0, np.pi)), float(rng.uniform(-150, 150))) for _ in range(rng.poisson(2.5))
    )
    cells = (*cysts, *_pagetoid(rng, 0.7, 8.5))
    return Lesion(
        rng.uniform(0.06, 0.16), junction, cells, vessels=_canals(rng, rng.poisson(0.5)), furrows=furrows
    )


def _canals(rng: np.random.Generator, number: int) -> tuple[tuple[float, float, float], ...]:
    return tuple(
        (float(rng.uniform(0, np.pi)), float(rng.uniform(-180, 180)), float(rng.uniform(4, 9)))
        for _ in range(number)
    )


def with_cells(light: Array, grid: Grid, z: float, cells: tuple[Cell, ...]) -> Array:
    """A plane with the cells that the focus cuts: a bright disc, a dark nucleus in its middle."""
    for cell in cells:
        cut = cell.radius**2 - (z - cell.z) ** 2
        if cut <= 4:
            continue
        radius = np.sqrt(cut)
        distance = grid.distance(cell.y, cell.x)
        body = 1 / (1 + np.exp((distance - radius) / 1.2))
        inside = cell.light * np.ones_like(light)
        if cell.nucleus:
            inside = inside * (1 - 0.6 * np.exp(-((distance / (0.42 * radius)) ** 2)))
        light = light * (1 - body) + inside * body
    return light


def with_islands(light: Array, grid: Grid, z: float, lesion: Lesion, rng: np.random.Generator) -> Array:
    """A plane with tumour: streaming nuclei, a palisade at the rim, and a dark cleft around it."""
    for island in lesion.islands:
        if z < island.top:
            continue
        closing = np.sqrt(min(1.0, (z - island.top + 8) / 30))
        dy, dx = grid.y - island.y, grid.x - island.x
        along = dx * np.cos(island.turn) + dy * np.sin(island.turn)
        across = -dx * np.sin(island.turn) + dy * np.cos(island.turn)
        ratio = np.hypot(along / island.radii[0], across / island.radii[1]) / closing
        outward = (ratio - 1) * closing * min(island.radii)
        angle = np.arctan2(across, along)
        teeth = 2 * np.pi * closing * float(np.mean(island.radii)) / 9.0
        palisade = 0.35 * np.exp(-(((outward + 7) / 6) ** 2)) * np.cos(teeth * angle)
        inside = streaming(grid, rng, island.turn if lesion.axis is None else lesion.axis) + palisade
        body = 1 / (1 + np.exp(outward / 1.5))
        cleft = np.exp(-(((outward - 7) / 6) ** 2))
        light = (light * (1 - body) + np.maximum(inside, 0.05) * body) * (1 - 0.85 * cleft)
    return light


def with_canals(light: Array, grid: Grid, lesion: Lesion, rng: np.random.Generator) -> Array:
    """A plane with dark vessels and the bright blood cells that flow in them."""
    for angle, offset, half in lesion.vessels:
        line = (grid.x - FIELD / 2) * np.cos(angle) + (grid.y - FIELD / 2) * np.sin(angle) - offset
        bend = 12 * np.sin((grid.y - grid.x) / 60 + offset)
        canal = np.exp(-(((line + bend) / half) ** 4))
        blood = rng.random(light.shape) < 0.02
        light = light * (1 - 0.85 * canal) + np.where(blood, 0.9, 0.0) * canal
    return light


def with_furrows(light: Array, grid: Grid, lesion: Lesion) -> Array:
    """A plane with the clefts between cords."""
    for angle, offset in lesion.furrows:
        line = (grid.x - FIELD / 2) * np.cos(angle) + (grid.y - FIELD / 2) * np.sin(angle) - offset
        bend = 25 * np.sin((grid.y + grid.x) / 70 + offset)
        light = light * (1 - 0.75 * np.exp(-(((line + bend) / 8.0) ** 2)))
    return light
