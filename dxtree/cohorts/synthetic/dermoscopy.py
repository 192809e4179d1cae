"""How does a lesion look through the dermatoscope: colour, outline and the pattern inside?"""

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
from dxtree.cohorts.synthetic.patterns import Scene, paint
from dxtree.cohorts.synthetic.truth import DERMOSCOPY, Traits, stream

_HAIR = (40.0, 30.0, 26.0)


def dermoscopy_view(seed: int, index: int, traits: Traits, size: int) -> ByteImage:
    """The dermoscopic image, size x size x 3 bytes. Relief, scale and crust leave no trace in it."""
    chance = stream(seed, index, DERMOSCOPY)
    look = traits.look
    place = _place(traits, chance)
    depth = place.depth(size)
    edge = 0.12 if look.melanin > 0.3 else 0.25
    inside = 1 - ramp(depth, 1 - edge, 1 + edge)
    clouds = look.variegation * noise(chance, 7, size) + 0.08 * noise(chance, 32, size)
    patches = np.maximum(1 + clouds, 0.25)
    mottle = noise(chance, 6, size)
    melanin = inside * patches * (0.85 * look.melanin) + 0.03 * mottle
    haem = inside * (0.8 + 0.2 * patches) * (0.8 * look.haem) + 0.03 * mottle + 0.05
    brown, red = paint(look.pattern, Scene(chance, place, depth, size))
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


def dermoscopy_mask(seed: int, index: int, traits: Traits, size: int) -> npt.NDArray[np.bool_]:
    """Where the lesion lies in the dermoscopic image, size x size: inside the middle of its soft edge."""
    place = _place(traits, stream(seed, index, DERMOSCOPY))
    return np.asarray(place.depth(size) < 1)


def _place(traits: Traits, chance: np.random.Generator) -> Outline:
    return Outline.drawn(traits, chance, 0.10, (0.56, 0.74))


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
