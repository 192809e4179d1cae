"""With which strokes are skin, outlines and nuisances painted?

Lengths are in half image widths: the picture is the square from -1 to 1 and x points right, y down.
Colour is kept as optical density, so that one lesion lies on any skin tone. Fields are size x size
float32 arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from dxtree.cohorts.synthetic.truth import HARMONICS, Traits

Field = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]
ByteImage = npt.NDArray[np.uint8]

MELANIN = (0.50, 0.88, 1.22)
"""Optical density of one unit of melanin in red, green and blue."""
HAEM = (0.08, 0.78, 0.62)
"""Optical density of one unit of haemoglobin."""
_SKIN = ((78, 52, 40), (112, 76, 58), (158, 112, 86), (200, 154, 128), (222, 182, 160), (238, 206, 190))
"""Colour of bare skin by tone, sRGB."""


@lru_cache(maxsize=4)
def grid(size: int) -> tuple[Field, Field]:
    """Coordinates x and y of every pixel's centre."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1).astype(np.float32)
    x, y = np.broadcast_to(line, (size, size)), np.broadcast_to(line[:, None], (size, size))
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def noise(chance: np.random.Generator, cells: int, size: int) -> Field:
    """Smooth noise, mean about 0 and deviation about 0.7, with `cells` bumps across the picture."""
    coarse = chance.standard_normal((cells + 1, cells + 1), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def ramp(values: Field, low: float, high: float) -> Field:
    """0 below `low`, 1 above `high`, straight between."""
    scaled: Field = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return scaled


@dataclass(frozen=True)
class Outline:
    """Where a lesion lies in one view: centre, mean radius and turn in radians."""

    traits: Traits
    x: float
    y: float
    radius: float
    turn: float

    @classmethod
    def drawn(
        cls, traits: Traits, chance: np.random.Generator, shift: float, radius: tuple[float, float]
    ) -> Outline:
        """A random place: the centre up to `shift` off the middle, a mean radius within a range."""
        x, y = chance.uniform(-shift, shift, 2).tolist()
        return cls(traits, x, y, chance.uniform(*radius), chance.uniform(0, 2 * np.pi))

    def depth(self, size: int) -> Field:
        """Distance from the centre over the outline's own: below 1 inside the lesion."""
        x, y = grid(size)
        offset = np.empty(x.shape, np.complex64)
        offset.real, offset.imag = x - np.float32(self.x), y - np.float32(self.y)
        offset *= np.complex64(np.exp(-1j * self.turn))
        offset.imag *= np.float32(1 / self.traits.aspect)
        distance: Field = np.abs(offset) + np.float32(1e-6)
        unit = offset / distance
        power = unit.copy()
        reach = np.ones(x.shape, np.float32)
        for bend in self.traits.bend:
            power *= unit
            reach += power.real * bend.real - power.imag * bend.imag
        distance /= np.maximum(reach, np.float32(0.3)) * np.float32(self.radius)
        return distance

    def place(self, depth: Points, angle: Points) -> Points:
        """The points, n x 2, at these depths and angles (in the lesion's own frame)."""
        waves = np.exp(1j * angle[:, None] * HARMONICS[None, :])
        reach = np.maximum(1 + (waves * self.traits.bend[None, :]).real.sum(1), 0.3)
        own = depth * reach * self.radius * np.exp(1j * angle)
        turned = (own.real + 1j * own.imag * self.traits.aspect) * np.exp(1j * self.turn)
        return np.stack([turned.real + self.x, turned.imag + self.y], axis=1)


class Ink:
    """A mask to draw on, at twice the size, so that thin strokes come out smooth."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._image = Image.new("L", (2 * size, 2 * size))
        self._draw = ImageDraw.Draw(self._image)

    def discs(self, points: Points, radii: Points, value: int = 255) -> None:
        """Filled discs around the points, n x 2."""
        centres, reach = (points + 1) * self._size, radii * self._size
        boxes = np.concatenate([centres - reach[:, None], centres + reach[:, None]], axis=1)
        for box in boxes.tolist():
            self._draw.ellipse(box, fill=value)

    def lines(self, lines: Iterable[Points], width: float, value: int = 255) -> None:
        """Open lines, each n x 2, of one width."""
        pixels = max(1, round(width * self._size))
        for line in lines:
            self._draw.line(
                ((line + 1) * self._size).ravel().tolist(), fill=value, width=pixels, joint="curve"
            )

    def field(self, soft: float = 0.0) -> Field:
        """What was drawn, from 0 to 1, blurred with a deviation of `soft`."""
        small = self._image.reduce(2)
        if soft:
            small = small.filter(ImageFilter.GaussianBlur(soft * self._size / 2))
        return np.asarray(small, np.float32) * np.float32(1 / 255)


def skin_density(tone: int) -> tuple[float, float, float]:
    """Optical density of bare skin in red, green and blue."""
    red, green, blue = (float(-np.log(value / 255)) for value in _SKIN[tone])
    return red, green, blue


def develop(tone: int, melanin: Field, haem: Field, light: Field, tint: tuple[float, float, float]) -> Field:
    """Pigment fields and a field of light to a picture, 3 x size x size, 0 to 255 and a little beyond."""
    picture = np.empty((3, *melanin.shape), np.float32)
    for channel, bare in enumerate(skin_density(tone)):
        density = melanin * np.float32(-MELANIN[channel])
        density -= haem * np.float32(HAEM[channel])
        density -= np.float32(bare)
        np.exp(density, out=density)
        np.multiply(density, light, out=picture[channel])
        picture[channel] *= np.float32(255 * tint[channel])
    return picture


def cover(picture: Field, share: Field, colour: tuple[float, float, float]) -> None:
    """Paints a colour over the picture, in place, by a share from 0 to 1."""
    for channel, value in enumerate(colour):
        picture[channel] += share * (np.float32(value) - picture[channel])


def hairs(chance: np.random.Generator, count: int, width: float, size: int) -> Field:
    """A mask of curved hairs that cross the picture in roughly one direction."""
    ink = Ink(size)
    lean = chance.uniform(0, np.pi)
    steps = np.linspace(-1, 1, 9)
    for _ in range(count):
        angle, bow = lean + chance.normal(0, 0.35), chance.normal(0, 0.25)
        along, middle = np.array([np.cos(angle), np.sin(angle)]), chance.uniform(-1, 1, 2)
        length = chance.uniform(0.5, 1.3)
        across = np.array([-along[1], along[0]]) * (bow * (1 - steps**2))[:, None]
        ink.lines([middle + length * steps[:, None] * along + across], width * chance.uniform(0.7, 1.3))
    return ink.field()


def finish(picture: Field, chance: np.random.Generator, grain: float) -> ByteImage:
    """Adds the camera's grain, in grey levels, and rounds to size x size x 3 bytes."""
    picture += chance.standard_normal(picture.shape[1:], dtype=np.float32) * np.float32(grain)
    np.clip(picture, 0, 255, out=picture)
    pixels = np.ascontiguousarray((picture + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0))
    pixels.setflags(write=False)
    return pixels
