"""How is a lesion under follow-up simulated, and written as a file?

A lesion that keeps its law of growth (`growth`) is seen at three to five dates, each time turned, moved and
lit anew, with other hairs. Light comes back by Beer and Lambert from melanin above, melanin below, which
looks blue as short waves are scattered back before they reach it (Tyndall), and keratin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.errors import InputError
from modalities.dermoscopy_sequence.binding import bind
from modalities.dermoscopy_sequence.growth import (
    FIELD_MM,
    FRAME,
    Lesion,
    keratosis,
    melanoma,
    network,
    nevus,
)
from modalities.dermoscopy_sequence.registration import Motion
from modalities.stacks.stack import FloatArray

KINDS: dict[str, Callable[[np.random.Generator], Lesion]] = {
    "nevus": nevus,
    "melanoma": melanoma,
    "seborrheic keratosis": keratosis,
}
SIDE = 256
SEEN_MM = FIELD_MM * SIDE / FRAME
_ABSORPTION = np.array([[0.55, 0.95, 1.35], [1.3, 1.05, 0.7], [0.05, 0.3, 0.9]])
"""Of superficial melanin, deep melanin and keratin in red, green and blue."""
_START = datetime(2020, 1, 1)


@dataclass(frozen=True)
class DrawnSequence:
    """Simulated pages, uint8 `SIDE` x `SIDE` x 3, at `days`; `motions` lay a page on the first: the truth."""

    pages: tuple[npt.NDArray[np.uint8], ...]
    days: tuple[float, ...]
    motions: tuple[Motion, ...]
    lesion: Lesion


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """A multi-page TIFF of one lesion of `kind`; in one of ten files a page has no date."""
    made = draw_sequence(kind, rng)
    start = _START + timedelta(days=int(rng.integers(0, 1500)))
    dates: list[datetime | None] = [start + timedelta(days=day) for day in made.days]
    if rng.random() < 0.1:
        dates[int(rng.integers(len(dates)))] = None
    return bind(list(zip(made.pages, dates, strict=True)))


def draw_sequence(
    kind: str, rng: np.random.Generator, *, hair: bool = True, turn: float = 20.0
) -> DrawnSequence:
    """One lesion of `kind`, a key of `KINDS`, over half a year to two years.

    `turn`: degrees, to which pages are turned at most. Raises `InputError` for no key.
    """
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}")
    lesion = KINDS[kind](rng)
    gaps = rng.integers(70, 210, rng.integers(2, 5)).tolist()
    days = [float(d) for d in np.cumsum([0, *gaps])]
    texture = ndimage.gaussian_filter(rng.standard_normal((FRAME, FRAME)), 6)
    texture = (texture / texture.std()).astype(np.float32)
    mesh = network(rng)
    skin = np.array([214, 172, 150]) * rng.uniform(0.85, 1.05) + rng.normal(0, 5, 3)
    lines = _skin_lines(rng)
    pages: list[npt.NDArray[np.uint8]] = []
    places: list[tuple[float, float, float]] = []
    for day in days:
        place = (
            (rng.uniform(-turn, turn), rng.uniform(-12, 12), rng.uniform(-12, 12))
            if pages
            else (0.0, 0.0, 0.0)
        )
        densities = np.stack(lesion.pigment(day, 0.6 * texture, mesh), -1)
        light = skin * np.exp(-densities @ _ABSORPTION) * (1 + 0.03 * texture + 0.05 * lines)[..., None]
        page = _seen(light, place)
        pages.append(_photographed(page, rng, hair=hair))
        places.append(place)
    return DrawnSequence(tuple(pages), tuple(days), tuple(_back(*place) for place in places), lesion)


def _skin_lines(rng: np.random.Generator) -> FloatArray:
    """The relief of skin: fine furrows in two directions."""
    y, x = np.mgrid[:FRAME, :FRAME]
    lines = np.zeros((FRAME, FRAME))
    for angle in rng.uniform(0, np.pi) + np.array([0, 1.2]):
        bend = 6 * ndimage.gaussian_filter(rng.standard_normal((FRAME, FRAME)), 20) * 20
        lines -= (
            np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle) + bend) / rng.uniform(9, 14)) > 0.85
        )
    return lines.astype(np.float32)


def _seen(light: FloatArray, place: tuple[float, float, float]) -> FloatArray:
    """The middle of the frame as a page shows it, turned by degrees and moved down and right."""
    turn = np.deg2rad(place[0])
    back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = np.array([SIDE - 1, SIDE - 1]) / 2
    offset = (FRAME - 1) / 2 - back @ (middle + place[1:])
    planes = [
        ndimage.affine_transform(light[..., c], back, offset, (SIDE, SIDE), order=1, mode="nearest")
        for c in range(3)
    ]
    return np.stack(planes, -1).astype(np.float32)


def _back(degrees: float, down: float, right: float) -> Motion:
    """The motion that undoes a turn and a shift."""
    turn = np.deg2rad(-degrees)
    forth = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = -(forth @ (down, right))
    return Motion(-degrees, float(shift[0]), float(shift[1]), 1.0)


def _photographed(page: FloatArray, rng: np.random.Generator, *, hair: bool) -> npt.NDArray[np.uint8]:
    """Lamp, vignette, hairs, lens and grain of one day."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) * 2 - 1
    vignette = 1 - rng.uniform(0.05, 0.2) * (x**2 + y**2)
    lamp = np.exp(rng.normal(0, 0.04, 3)) * rng.uniform(0.88, 1.05)
    lit = page * vignette[..., None] * lamp
    for _ in range(rng.integers(0, 5) if hair else 0):
        angle, offset, bend = rng.uniform(0, np.pi), rng.uniform(-0.9, 0.9), rng.uniform(-0.4, 0.4)
        along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        strand = np.exp(-(((across - offset - bend * along**2) * SIDE / 2 / rng.uniform(0.6, 1.2)) ** 2))
        lit = lit * (1 - 0.7 * strand[..., None])
    lit = ndimage.gaussian_filter(lit, (0.7, 0.7, 0)) + rng.normal(0, 2.5, lit.shape)
    pixels: npt.NDArray[np.uint8] = np.clip(lit, 0, 255).astype(np.uint8)
    return pixels
