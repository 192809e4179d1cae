"""How does a simulated lesion look at a given day: outline, pigment and its depth?

Signs of change: Kittler et al., Arch Dermatol 2006;142:1113 (melanomas enlarge asymmetrically, with focal
changes of pigment, new colours and regression; nevi stay or change symmetrically); Kittler et al., Arch
Dermatol 2000;136:316 (nevi that enlarge). Rates are our choice within what follow-up sees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from modalities.stacks.stack import FloatArray

FIELD_MM, FRAME = 20.0, 320
"""Skin that is laid out, millimetres and pixels across."""
_YEAR = 365.25


@dataclass(frozen=True)
class Spot:
    """A focus that comes with time: where (angle, share of the radius), how large in millimetres, from which
    day on, and what it adds a year of superficial and of deep melanin.
    """

    angle: float
    share: float
    size_mm: float
    day: float
    superficial: float
    deep: float


@dataclass(frozen=True)
class Lesion:
    """One lesion's law. Lengths in millimetres, rates a year.

    `radius`, `waves`: mean radius, and share of it by the number of waves round the border (amplitude,
    phase). `rate`: of the radius. `bias`, `towards`: how much faster it grows in one direction.
    `melanin`: optical density, `darkening` its rate. `network`: contrast of the network. `edge`: width of the
    border. `openings`: dark plugs and `cysts`: white ones, by place and size; `yellow`: of the plaque.
    """

    radius: float
    waves: tuple[tuple[float, float], ...]
    rate: float
    bias: float
    towards: float
    melanin: float
    darkening: float
    network: float
    edge: float
    spots: tuple[Spot, ...] = ()
    openings: tuple[tuple[float, float, float], ...] = ()
    cysts: tuple[tuple[float, float, float], ...] = ()
    yellow: float = 0.0

    def border(self, angle: FloatArray, day: float) -> FloatArray:
        """Radius at each angle on a day, never below a tenth of the first."""
        shape = 1 + sum(a * np.cos((k + 2) * angle + p) for k, (a, p) in enumerate(self.waves))
        growth = self.rate * (1 + self.bias * np.cos(angle - self.towards)) * day / _YEAR
        border: FloatArray = np.maximum(self.radius * shape + growth, 0.1 * self.radius)
        return border

    def pigment(
        self, day: float, texture: FloatArray, mesh: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Superficial melanin, deep melanin, keratin: frame x frame, optical densities."""
        y, x = (np.mgrid[:FRAME, :FRAME] / (FRAME - 1) - 0.5) * FIELD_MM
        distance, angle = np.hypot(x, y), np.arctan2(y, x)
        border = self.border(angle, day)
        inside = 1 / (1 + np.exp((distance - border - 0.25 * texture) / self.edge))
        fade = 1 - 0.35 * np.clip(distance / border, 0, 1) ** 2
        melanin = (
            (self.melanin + self.darkening * day / _YEAR) * fade * (1 + self.network * mesh + 0.2 * texture)
        )
        deep, keratin = np.zeros_like(melanin), self.yellow * np.ones_like(melanin)
        for spot in self.spots:
            since = max(0.0, day - spot.day) / _YEAR
            reach = spot.share * self.border(np.array([spot.angle], np.float32), day)[0]
            away = np.hypot(x - reach * np.cos(spot.angle), y - reach * np.sin(spot.angle))
            focus = np.exp(-((away / (spot.size_mm * (0.6 + min(since, 2.0)))) ** 2)) * min(since, 1.5)
            melanin = melanin + spot.superficial * focus
            deep = deep + spot.deep * focus
        for plugs, dark in ((self.openings, 0.9), (self.cysts, -1.0)):
            for px, py, size in plugs:
                blob = np.exp(-((np.hypot(x - px * self.radius, y - py * self.radius) / size) ** 2))
                melanin = melanin + dark * blob * self.melanin
        return (np.maximum(melanin, 0.02) * inside, np.maximum(deep, 0) * inside, keratin * inside)


def _waves(rng: np.random.Generator, size: float) -> tuple[tuple[float, float], ...]:
    return tuple((float(rng.normal(0, size / (k + 1))), float(rng.uniform(0, 2 * np.pi))) for k in range(4))


def nevus(rng: np.random.Generator) -> Lesion:
    """Still in two of three; else it enlarges alike on all sides. Its border may be as uneven as any."""
    enlarging = rng.random() < 1 / 3
    return Lesion(
        radius=rng.uniform(1.8, 3.8), waves=_waves(rng, rng.uniform(0.03, 0.12)),
        rate=rng.uniform(0.2, 0.9) if enlarging else rng.normal(0, 0.05), bias=rng.uniform(0, 0.2),
        towards=rng.uniform(0, 6.28), melanin=rng.uniform(0.25, 0.6), darkening=rng.normal(0, 0.04),
        network=rng.uniform(0.2, 0.5), edge=rng.uniform(0.15, 0.4),
    )  # fmt: skip


def melanoma(rng: np.random.Generator) -> Lesion:
    """Grows to one side more, gets darker foci, blue-grey ones or pale ones of regression; some barely."""
    foci = tuple(
        Spot(
            rng.uniform(0, 6.28), rng.uniform(0.3, 0.9), rng.uniform(0.4, 1.1), rng.uniform(-200, 250),
            *((rng.uniform(0.2, 0.7), 0.0), (0.0, rng.uniform(0.2, 0.6)), (-rng.uniform(0.1, 0.5), 0.05))[
                rng.integers(3)
            ],
        )
        for _ in range(rng.integers(1, 4))
    )  # fmt: skip
    return Lesion(
        radius=rng.uniform(1.8, 3.8), waves=_waves(rng, rng.uniform(0.05, 0.15)),
        rate=rng.lognormal(np.log(0.9), 0.5), bias=rng.uniform(0.3, 1.0), towards=rng.uniform(0, 6.28),
        melanin=rng.uniform(0.3, 0.65), darkening=rng.uniform(0, 0.2), network=rng.uniform(0.2, 0.5),
        edge=rng.uniform(0.15, 0.4), spots=foci,
    )  # fmt: skip


def keratosis(rng: np.random.Generator) -> Lesion:
    """Sharp border, opaque yellow brown, plugs and cysts of keratin; still, or slowly larger."""

    def plugs(most: int) -> tuple[tuple[float, float, float], ...]:
        places = rng.uniform(-0.6, 0.6, (rng.integers(0, most), 2))
        return tuple((float(x), float(y), float(rng.uniform(0.1, 0.25))) for x, y in places)

    return Lesion(
        radius=rng.uniform(2, 4.5), waves=_waves(rng, rng.uniform(0.03, 0.12)),
        rate=max(0.0, rng.normal(0.15, 0.2)), bias=rng.uniform(0, 0.3), towards=rng.uniform(0, 6.28),
        melanin=rng.uniform(0.25, 0.6), darkening=rng.normal(0, 0.05), network=rng.uniform(0, 0.25),
        edge=rng.uniform(0.06, 0.25), openings=plugs(9), cysts=plugs(9), yellow=rng.uniform(0.05, 0.35),
    )  # fmt: skip


def network(rng: np.random.Generator) -> FloatArray:
    """Dark lines around holes .3 to .5 mm apart: mean 0, -1 to 1 about."""
    step = FRAME / FIELD_MM * rng.uniform(0.35, 0.5)
    noise = ndimage.gaussian_filter(rng.standard_normal((FRAME, FRAME)), step / 2.2)
    mesh = np.abs(noise) / noise.std()
    lines: FloatArray = np.clip(1 - 1.5 * mesh, -1, 1).astype(np.float32)
    return lines
