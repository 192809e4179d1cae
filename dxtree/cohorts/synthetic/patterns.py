"""Which patterns does dermoscopy show inside a lesion?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dxtree.cohorts.synthetic.canvas import Field, Ink, Outline, Points, grid, noise, ramp
from dxtree.cohorts.synthetic.classes import Pattern

Paint = tuple[Field, Field]
"""What a pattern adds to the fields of melanin and of haemoglobin."""


@dataclass(frozen=True)
class Scene:
    """Where a pattern is painted: the lesion's place and its `depth` field, and the random numbers."""

    chance: np.random.Generator
    place: Outline
    depth: Field
    size: int

    @property
    def nothing(self) -> Field:
        """A field that adds nothing."""
        return np.zeros_like(self.depth)


def paint(pattern: Pattern, scene: Scene) -> Paint:
    """Paints one pattern; lengths follow the picture, not the pixels."""
    return _PAINTERS[pattern](scene)


def _scatter(scene: Scene, spacing: float, limit: float) -> Points:
    """Points inside the lesion, about `spacing` apart, down to a depth of `limit`."""
    chance, place = scene.chance, scene.place
    count = int(2.0 * place.radius / spacing) + 1
    column, row = np.meshgrid(np.arange(-count, count + 1), np.arange(-count, count + 1))
    loose_x, loose_y = chance.normal(0, 0.22 * spacing, (2, column.size))
    across = (column + 0.5 * (row % 2)).ravel() * spacing + loose_x
    down = row.ravel() * (0.87 * spacing) + loose_y
    angle, distance = np.arctan2(down, across), np.hypot(across, down) / place.radius
    kept = distance < limit
    return place.place(distance[kept], angle[kept])


def _network(scene: Scene) -> Paint:
    """Brown lines around pale holes, fading at the rim."""
    chance, size = scene.chance, scene.size
    x, y = grid(size)
    x, y = x + 0.03 * noise(chance, 7, size), y + 0.03 * noise(chance, 7, size)
    turn, pitch = chance.uniform(0, np.pi), 2 * np.pi * chance.uniform(6.0, 7.5)
    waves = scene.nothing
    for angle in turn + np.arange(3) * (np.pi * 2 / 3):
        waves += np.cos(np.float32(pitch * np.cos(angle)) * x + np.float32(pitch * np.sin(angle)) * y)
    mesh = 1 - ramp(waves, -1.3, 0.5)
    uneven = np.clip(0.8 + 0.45 * noise(chance, 4, size), 0.3, 1.3)
    return (mesh * 0.95 - 0.28) * (1 - ramp(scene.depth, 0.65, 1.10)) * uneven, scene.nothing


def _globules(scene: Scene) -> Paint:
    """Round brown clods."""
    ink = Ink(scene.size)
    points = _scatter(scene, 0.155, 0.92)
    ink.discs(points, scene.chance.uniform(0.034, 0.066, len(points)))
    return ink.field(0.016) * 1.15 - 0.22 * (1 - ramp(scene.depth, 0.8, 1.1)), scene.nothing


def _streaks(scene: Scene) -> Paint:
    """Dark spokes across the rim around a blotch without structure."""
    chance, place, ink = scene.chance, scene.place, Ink(scene.size)
    count = int(chance.integers(30, 46))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + chance.normal(0, 0.06, count)
    inner = place.place(chance.uniform(0.60, 0.80, count), angles)
    outer = place.place(chance.uniform(1.00, 1.22, count), angles + chance.normal(0, 0.04, count))
    middle = (inner + outer) / 2 + chance.normal(0, 0.012, inner.shape)
    ink.lines(list(np.stack([inner, middle], axis=1)), 0.046)
    ink.lines(list(np.stack([middle, outer], axis=1)), 0.028)
    blotch = ramp(noise(chance, 4, scene.size), 0.1, 0.6) * (1 - ramp(scene.depth, 0.4, 0.85))
    return ink.field(0.012) * 0.85 + 0.40 * blotch, scene.nothing


def _comedo(scene: Scene) -> Paint:
    """Large dark plugs and small white cysts."""
    points = _scatter(scene, 0.22, 0.88)
    dark = scene.chance.random(len(points)) < 0.5
    plugs, cysts = Ink(scene.size), Ink(scene.size)
    plugs.discs(points[dark], scene.chance.uniform(0.045, 0.080, int(dark.sum())))
    cysts.discs(points[~dark], scene.chance.uniform(0.025, 0.050, int((~dark).sum())))
    white = cysts.field(0.012)
    return plugs.field(0.014) * 1.25 - 0.80 * white, -0.15 * white


def _lacunae(scene: Scene) -> Paint:
    """Crowded red lakes with pale walls between."""
    ink = Ink(scene.size)
    points = _scatter(scene, 0.27, 0.90)
    ink.discs(points, scene.chance.uniform(0.095, 0.135, len(points)))
    lakes = ink.field(0.018)
    return 0.22 * lakes, lakes * 0.9 - 0.40 * (1 - ramp(scene.depth, 0.75, 1.1))


def _branching(scene: Scene) -> Paint:
    """A few thick vessels that branch into thinner ones."""
    chance, place, ink = scene.chance, scene.place, Ink(scene.size)
    for _ in range(int(chance.integers(4, 7))):
        start = place.place(chance.uniform(0.55, 1.0, 1), chance.uniform(0, 2 * np.pi, 1))[0]
        inward = float(np.arctan2(place.y - start[1], place.x - start[0]))
        trunk = _meander(chance, start, inward + chance.normal(0, 0.5), place.radius * 0.16, 9)
        ink.lines([trunk[:6]], 0.034)
        ink.lines([trunk[5:]], 0.022)
        for at in chance.choice(np.arange(2, 9), 4, replace=False):
            aside = inward + chance.choice([-1.0, 1.0]) * chance.uniform(0.5, 1.2)
            ink.lines([_meander(chance, trunk[at], aside, place.radius * 0.09, 6)], 0.016)
    return scene.nothing, ink.field(0.006) * 1.6 * (1 - ramp(scene.depth, 1.0, 1.15))


def _meander(chance: np.random.Generator, start: Points, heading: float, stride: float, steps: int) -> Points:
    """A line that wanders off from a point, (steps + 1) x 2."""
    headings = heading + np.cumsum(chance.normal(0, 0.42, steps))
    moves = stride * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([start[None], start + np.cumsum(moves, axis=0)])


def _dotted(scene: Scene) -> Paint:
    """Many red dots, evenly spread."""
    ink = Ink(scene.size)
    points = _scatter(scene, 0.125, 0.96)
    ink.discs(points, scene.chance.uniform(0.022, 0.034, len(points)))
    return scene.nothing, ink.field(0.008) * 1.6


_PAINTERS: Mapping[Pattern, Callable[[Scene], Paint]] = {
    "network": _network,
    "globules": _globules,
    "streaks": _streaks,
    "comedo": _comedo,
    "lacunae": _lacunae,
    "branching": _branching,
    "dotted": _dotted,
}
