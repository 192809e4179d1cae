"""How does a lesion look from a hand's breadth away: colour, outline, relief, scale and crust?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxtree.cohorts.synthetic.canvas import (
    ByteImage,
    Field,
    Outline,
    cover,
    develop,
    finish,
    grid,
    hairs,
    noise,
    ramp,
)
from dxtree.cohorts.synthetic.truth import CLINICAL, Traits, stream

_SCALE = (236.0, 230.0, 222.0)
_CRUST = (198.0, 152.0, 84.0)
_HAIR = (58.0, 42.0, 34.0)


def clinical_view(seed: int, index: int, traits: Traits, size: int) -> ByteImage:
    """The photograph, size x size x 3 bytes. The dermoscopic pattern leaves no trace in it."""
    chance = stream(seed, index, CLINICAL)
    look = traits.look
    place = _place(traits, chance)
    depth = place.depth(size)
    edge = 0.10 if look.melanin > 0.3 else 0.22
    inside = 1 - ramp(depth, 1 - edge, 1 + edge)
    patches = 1 + look.variegation * noise(chance, 9, size)
    mottle = noise(chance, 5, size)
    lines = noise(chance, 64, size)
    melanin = inside * np.maximum(patches, 0.25) * look.melanin + 0.035 * mottle
    halo = 1 - ramp(depth, 0.9, 1.7)
    haem = inside * look.haem * (0.8 + 0.2 * patches) + 0.035 * noise(chance, 8, size) + 0.06 * halo
    angle = chance.uniform(-2.6, -0.6)
    light = _relief(depth, inside, look.elevation, angle) + 0.025 * lines + _lamp(chance, size)
    tint = chance.normal(1.0, 0.03, 3).tolist()
    picture = develop(traits.tone, melanin, haem, light, (tint[0], tint[1], tint[2]))
    core = 1 - ramp(depth, 0.80, 0.98)
    _flakes(chance, picture, core, look.scale, look.crust, size)
    _shine(picture, place, look.elevation * (look.scale < 0.1), angle, size)
    if chance.random() < 0.35:
        cover(picture, 0.8 * hairs(chance, int(chance.integers(3, 12)), 0.012, size), _HAIR)
    return finish(picture, chance, 3.0)


def clinical_mask(seed: int, index: int, traits: Traits, size: int) -> npt.NDArray[np.bool_]:
    """Where the lesion lies in the photograph, size x size: inside the middle of its soft edge."""
    place = _place(traits, stream(seed, index, CLINICAL))
    return np.asarray(place.depth(size) < 1)


def _place(traits: Traits, chance: np.random.Generator) -> Outline:
    return Outline.drawn(traits, chance, 0.16, (0.34, 0.50))


def _relief(depth: Field, inside: Field, elevation: float, angle: float) -> Field:
    """Light on a dome or plateau, 1 where the skin is flat, with the shadow that it casts."""
    height = np.sqrt(np.clip(1.0 - depth * depth, 0, 1)) * np.float32(elevation)
    reach = max(1, round(0.012 * len(depth)))
    slope_x = np.roll(height, -reach, 1) - np.roll(height, reach, 1)
    slope_y = np.roll(height, -reach, 0) - np.roll(height, reach, 0)
    lit = np.float32(np.cos(angle)) * slope_x + np.float32(np.sin(angle)) * slope_y
    away = round(0.05 * len(depth) * elevation)
    down, right = round(-away * float(np.sin(angle))), round(-away * float(np.cos(angle)))
    shadow = np.clip(np.roll(inside, (down, right), (0, 1)) - inside, 0, 1)
    light: Field = 1 - 1.1 * np.clip(lit, -0.35, 0.35) - 0.30 * shadow
    return light


def _lamp(chance: np.random.Generator, size: int) -> Field:
    """What uneven lighting and exposure add to 1."""
    x, y = grid(size)
    tilt = chance.normal(0, 0.07, 2)
    lamp: Field = np.float32(tilt[0]) * x + np.float32(tilt[1]) * y + np.float32(chance.normal(0, 0.06))
    return lamp


def _flakes(
    chance: np.random.Generator, picture: Field, core: Field, scale: float, crust: float, size: int
) -> None:
    """White scale and yellow crust, each over its share of the surface."""
    for share, colour, cells, weight in ((scale, _SCALE, 34, 0.70), (crust, _CRUST, 20, 0.72)):
        if share > 0:
            bumps = noise(chance, cells, size) + 0.8 * noise(chance, cells // 3, size)
            level = float(np.quantile(bumps[::4, ::4], 1 - min(share, 0.8)))
            cover(picture, weight * core * ramp(bumps, level - 0.25, level + 0.6), colour)


def _shine(picture: Field, place: Outline, elevation: float, angle: float, size: int) -> None:
    """The gloss on the lit side of a smooth raised lesion."""
    if elevation < 0.3:
        return
    x, y = grid(size)
    away = 0.38 * place.radius
    dx, dy = x - np.float32(place.x + away * np.cos(angle)), y - np.float32(place.y + away * np.sin(angle))
    spot = np.exp((dx * dx + dy * dy) * np.float32(-14 / place.radius**2))
    cover(picture, np.float32(0.42 * elevation) * spot, (255.0, 248.0, 240.0))
