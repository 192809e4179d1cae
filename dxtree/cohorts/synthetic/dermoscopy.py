"""How does a lesion look through the dermatoscope: colour, outline and the pattern inside?"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dxtree.cohorts.synthetic.canvas import (
    ByteImage,
    Field,
    Ink,
    Outline,
    Points,
    cover,
    develop,
    finish,
    grid,
    hairs,
    noise,
    ramp,
)
from dxtree.cohorts.synthetic.classes import Pattern
from dxtree.cohorts.synthetic.truth import DERMOSCOPY, Traits, stream

_HAIR = (40.0, 30.0, 26.0)


def dermoscopy_view(seed: int, index: int, traits: Traits, size: int) -> ByteImage:
    """The dermoscopic image, size x size x 3 bytes. Relief, scale and crust leave no trace in it."""
    chance = stream(seed, index, DERMOSCOPY)
    look = traits.look
    place = Outline(
        traits, *chance.uniform(-0.10, 0.10, 2).tolist(), chance.uniform(0.56, 0.74), chance.uniform(0, 6.28)
    )
    depth = place.depth(size)
    edge = 0.12 if look.melanin > 0.3 else 0.25
    inside = 1 - ramp(depth, 1 - edge, 1 + edge)
    clouds = look.variegation * noise(chance, 7, size) + 0.08 * noise(chance, size // 6, size)
    patches = np.maximum(1 + clouds, 0.25)
    mottle = noise(chance, 6, size)
    melanin = inside * patches * (0.85 * look.melanin) + 0.03 * mottle
    haem = inside * (0.8 + 0.2 * patches) * (0.8 * look.haem) + 0.03 * mottle + 0.05
    brown, red = _PATTERNS[look.pattern](chance, place, depth, size)
    melanin += np.float32(traits.clarity) * brown
    haem += np.float32(traits.clarity) * red
    light = 1.04 + _lens(chance, size)
    tint = chance.normal(1.0, 0.025, 3).tolist()
    np.maximum(melanin, -0.2, out=melanin)
    np.maximum(haem, -0.2, out=haem)
    picture = develop(traits.tone, melanin, haem, light, (tint[0], tint[1], tint[2]))
    if chance.random() < 0.40:
        cover(picture, 0.85 * hairs(chance, int(chance.integers(2, 10)), 0.022, size), _HAIR)
    return finish(picture, chance, 2.5)


def _lens(chance: np.random.Generator, size: int) -> Field:
    """What exposure, a tilted plate and, in half of the images, the dark rim of the lens add to 1."""
    x, y = grid(size)
    tilt = chance.normal(0, 0.04, 2)
    lens: Field = np.float32(tilt[0]) * x + np.float32(tilt[1]) * y + np.float32(chance.normal(0, 0.05))
    if chance.random() < 0.5:
        away = np.sqrt(x * x + y * y)
        rim = chance.uniform(1.0, 1.25)
        lens -= 0.9 * ramp(away, rim, rim + chance.uniform(0.05, 0.30)) + 0.08 * away
    return lens


def _scatter(chance: np.random.Generator, place: Outline, spacing: float, limit: float) -> Points:
    """Points inside the lesion, about `spacing` apart, down to a depth of `limit`."""
    count = int(2.0 * place.radius / spacing) + 1
    column, row = np.meshgrid(np.arange(-count, count + 1), np.arange(-count, count + 1))
    across = (column + 0.5 * (row % 2)).ravel() * spacing + chance.normal(0, 0.22 * spacing, column.size)
    down = row.ravel() * (0.87 * spacing) + chance.normal(0, 0.22 * spacing, row.size)
    angle, distance = np.arctan2(down, across), np.hypot(across, down) / place.radius
    kept = distance < limit
    return place.place(distance[kept], angle[kept])


def _network(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Brown lines around pale holes, fading at the rim."""
    x, y = grid(size)
    warp_x, warp_y = x + 0.03 * noise(chance, 7, size), y + 0.03 * noise(chance, 7, size)
    turn, pitch = chance.uniform(0, np.pi), 2 * np.pi * chance.uniform(6.0, 7.5)
    waves = np.zeros_like(depth)
    for k in range(3):
        angle = turn + k * np.pi * 2 / 3
        waves += np.cos(np.float32(pitch * np.cos(angle)) * warp_x + np.float32(pitch * np.sin(angle)) * warp_y)
    mesh = 1 - ramp(waves, -1.3, 0.5)
    fading = (1 - ramp(depth, 0.65, 1.10)) * np.clip(0.8 + 0.45 * noise(chance, 4, size), 0.3, 1.3)
    return (mesh * 0.95 - 0.28) * fading, np.zeros_like(depth)


def _globules(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Round brown clods."""
    ink = Ink(size)
    points = _scatter(chance, place, 0.155, 0.92)
    ink.discs(points, chance.uniform(0.034, 0.066, len(points)))
    return ink.field(0.016) * 1.15 - 0.22 * (1 - ramp(depth, 0.8, 1.1)), np.zeros_like(depth)


def _streaks(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Dark spokes across the rim around a blotch without structure."""
    ink = Ink(size)
    count = int(chance.integers(30, 46))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + chance.normal(0, 0.06, count)
    inner = place.place(chance.uniform(0.60, 0.80, count), angles)
    outer = place.place(chance.uniform(1.00, 1.22, count), angles + chance.normal(0, 0.04, count))
    middle = (inner + outer) / 2 + chance.normal(0, 0.012, inner.shape)
    ink.lines([np.stack([a, b]) for a, b in zip(inner, middle, strict=True)], 0.046)
    ink.lines([np.stack([a, b]) for a, b in zip(middle, outer, strict=True)], 0.028)
    blotch = ramp(noise(chance, 4, size), 0.1, 0.6) * (1 - ramp(depth, 0.4, 0.85))
    return ink.field(0.012) * 0.85 + 0.40 * blotch, np.zeros_like(depth)


def _comedo(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Large dark plugs and small white cysts."""
    points = _scatter(chance, place, 0.22, 0.88)
    dark = chance.random(len(points)) < 0.5
    plugs, cysts = Ink(size), Ink(size)
    plugs.discs(points[dark], chance.uniform(0.045, 0.080, int(dark.sum())))
    cysts.discs(points[~dark], chance.uniform(0.025, 0.050, int((~dark).sum())))
    white = cysts.field(0.012)
    return plugs.field(0.014) * 1.25 - 0.80 * white, -0.15 * white


def _lacunae(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Crowded red lakes with pale walls between."""
    ink = Ink(size)
    points = _scatter(chance, place, 0.27, 0.90)
    ink.discs(points, chance.uniform(0.095, 0.135, len(points)))
    lakes = ink.field(0.018)
    return 0.22 * lakes, lakes * 0.9 - 0.40 * (1 - ramp(depth, 0.75, 1.1))


def _branching(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """A few thick vessels that branch into thinner ones."""
    ink = Ink(size)
    for _ in range(int(chance.integers(4, 7))):
        start = place.place(chance.uniform(0.55, 1.0, 1), chance.uniform(0, 2 * np.pi, 1))[0]
        inward = float(np.arctan2(place.y - start[1], place.x - start[0]))
        trunk = _meander(chance, start, inward + chance.normal(0, 0.5), place.radius * 0.16, 9)
        ink.lines([trunk[:6]], 0.034)
        ink.lines([trunk[5:]], 0.022)
        for at in chance.choice(np.arange(2, 9), 4, replace=False):
            aside = inward + chance.choice([-1.0, 1.0]) * chance.uniform(0.5, 1.2)
            ink.lines([_meander(chance, trunk[at], aside, place.radius * 0.09, 6)], 0.016)
    return np.zeros_like(depth), ink.field(0.006) * 1.6 * (1 - ramp(depth, 1.0, 1.15))


def _meander(
    chance: np.random.Generator, start: Points, heading: float, stride: float, steps: int
) -> Points:
    """A line that wanders off from a point, (steps + 1) x 2."""
    headings = heading + np.cumsum(chance.normal(0, 0.42, steps))
    moves = stride * np.stack([np.cos(headings), np.sin(headings)], axis=1)
    return np.concatenate([start[None], start + np.cumsum(moves, axis=0)])


def _dotted(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Many red dots, evenly spread."""
    ink = Ink(size)
    points = _scatter(chance, place, 0.125, 0.96)
    ink.discs(points, chance.uniform(0.022, 0.034, len(points)))
    return np.zeros_like(depth), ink.field(0.008) * 1.6


_Painter = Callable[[np.random.Generator, Outline, Field, int], tuple[Field, Field]]
_PATTERNS: Mapping[Pattern, _Painter] = {
    "network": _network,
    "globules": _globules,
    "streaks": _streaks,
    "comedo": _comedo,
    "lacunae": _lacunae,
    "branching": _branching,
    "dotted": _dotted,
}
"""Each answers with what it adds to the fields of melanin and of haemoglobin."""
