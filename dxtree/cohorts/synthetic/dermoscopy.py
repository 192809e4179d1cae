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
    patches = np.maximum(1 + look.variegation * noise(chance, 7, size), 0.25)
    mottle = noise(chance, 6, size)
    melanin = inside * patches * (0.85 * look.melanin) + 0.04 * mottle
    haem = inside * (0.8 + 0.2 * patches) * (0.8 * look.haem) + 0.08 * mottle + 0.05
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
    mesh = 1 - ramp(waves, -1.2, 0.9)
    return (mesh * 0.85 - 0.30) * (1 - ramp(depth, 0.80, 1.10)), np.zeros_like(depth)


def _globules(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Round brown clods."""
    ink = Ink(size)
    points = _scatter(chance, place, 0.155, 0.92)
    ink.discs(points, chance.uniform(0.040, 0.062, len(points)))
    return ink.field() * 1.0 - 0.22 * (depth < 1), np.zeros_like(depth)


def _streaks(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Dark spokes across the rim around a blotch without structure."""
    ink = Ink(size)
    count = int(chance.integers(26, 40))
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) + chance.normal(0, 0.05, count)
    inner = place.place(chance.uniform(0.62, 0.80, count), angles)
    outer = place.place(chance.uniform(1.06, 1.22, count), angles + chance.normal(0, 0.02, count))
    ink.lines([np.stack(pair) for pair in zip(inner, outer, strict=True)], 0.034)
    ink.discs(outer, np.full(count, 0.024))
    blotch = ramp(noise(chance, 4, size), 0.1, 0.5) * (1 - ramp(depth, 0.5, 0.8))
    return ink.field() * 0.9 + 0.35 * blotch, np.zeros_like(depth)


def _comedo(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Large dark plugs and small white cysts."""
    points = _scatter(chance, place, 0.22, 0.88)
    dark = chance.random(len(points)) < 0.5
    plugs, cysts = Ink(size), Ink(size)
    plugs.discs(points[dark], chance.uniform(0.045, 0.080, int(dark.sum())))
    cysts.discs(points[~dark], chance.uniform(0.025, 0.050, int((~dark).sum())))
    return plugs.field() * 1.2 - 0.75 * cysts.field(), -0.15 * cysts.field()


def _lacunae(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Crowded red lakes with pale walls between."""
    ink = Ink(size)
    points = _scatter(chance, place, 0.27, 0.90)
    ink.discs(points, chance.uniform(0.095, 0.135, len(points)))
    lakes = ink.field()
    return 0.22 * lakes, lakes * 0.9 - 0.45 * (depth < 1)


def _branching(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """A few thick vessels that branch into thinner ones."""
    ink = Ink(size)
    steps = np.linspace(0, 1, 8)[:, None]
    for _ in range(int(chance.integers(4, 7))):
        ends = place.place(chance.uniform(0.45, 1.0, 2), chance.uniform(0, 2 * np.pi, 2))
        bow = chance.normal(0, 0.18, 2)
        trunk = ends[0] + steps * (ends[1] - ends[0]) + np.sin(np.pi * steps) * bow
        ink.lines([trunk], 0.034)
        for at in chance.choice(np.arange(1, 7), 4, replace=False):
            tip = trunk[at] + chance.normal(0, 0.20, 2)
            middle = (trunk[at] + tip) / 2 + chance.normal(0, 0.05, 2)
            ink.lines([np.stack([trunk[at], middle, tip])], 0.020)
    return np.zeros_like(depth), ink.field() * 1.3 * (1 - ramp(depth, 1.0, 1.15))


def _dotted(
    chance: np.random.Generator, place: Outline, depth: Field, size: int
) -> tuple[Field, Field]:
    """Many red dots, evenly spread."""
    ink = Ink(size)
    points = _scatter(chance, place, 0.125, 0.96)
    ink.discs(points, chance.uniform(0.022, 0.034, len(points)))
    return np.zeros_like(depth), ink.field() * 1.4


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
