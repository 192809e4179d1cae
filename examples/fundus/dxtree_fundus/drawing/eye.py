"""Which signs does a diagnosis have, and how does an eye with it look? A file with its truth.

Kinds overlap as grades do: a healthy eye may have a few hard drusen or a dark dot, the cup of a healthy disc
may be as large as an early glaucoma's, and mild retinopathy is microaneurysms alone, moderate more than
these, severe more than 20 haemorrhages in each quadrant (Wilkinson 2003). Ages are drawn around a mean by
kind; they are invented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from dxtree_fundus import tree
from dxtree_fundus.drawing import anatomy, lesions
from dxtree_fundus.drawing.camera import encode, photograph
from dxtree_fundus.drawing.lesions import Canvas


@dataclass(frozen=True)
class Drawn:
    """A JPEG and what is true of it. `disc`, `fovea`, `centre` are (x, y) in pixels; `cup` is a ratio of
    diameters.
    """

    data: bytes
    kind: str
    age: int
    left: bool
    centre: tuple[float, float]
    radius: float
    disc: tuple[float, float]
    fovea: tuple[float, float]
    cup: float
    counts: Mapping[str, int]


def _normal(c: Canvas) -> None:
    if c.random.random() < 0.4:
        lesions.drusen(c, int(c.random.integers(1, 7)), 1.8)
    if c.random.random() < 0.1:
        lesions.microaneurysms(c, 1)


def _mild(c: Canvas) -> None:
    lesions.microaneurysms(c, int(c.random.integers(2, 14)))


def _moderate(c: Canvas) -> None:
    lesions.microaneurysms(c, int(c.random.integers(8, 25)))
    lesions.blots(c, int(c.random.integers(3, 16)))
    lesions.exudates(c, int(c.random.integers(0, 5)))
    lesions.cotton_wool(c, int(c.random.integers(0, 2)))


def _severe(c: Canvas) -> None:
    lesions.microaneurysms(c, int(c.random.integers(20, 45)))
    lesions.blots(c, int(c.random.integers(45, 95)))
    lesions.exudates(c, int(c.random.integers(0, 6)))
    lesions.cotton_wool(c, int(c.random.integers(0, 5)))


def _proliferative(c: Canvas) -> None:
    _moderate(c)
    lesions.new_vessels(c)


def _branch(c: Canvas) -> None:
    low = c.random.choice((-2.9, 1.9))  # above or below, on the side of the fovea
    lesions.flames(c, int(c.random.integers(14, 45)), (float(low), float(low) + 1.0))
    lesions.cotton_wool(c, int(c.random.integers(0, 3)))


def _central(c: Canvas) -> None:
    lesions.flames(c, int(c.random.integers(30, 90)))
    lesions.blots(c, int(c.random.integers(5, 25)))
    lesions.cotton_wool(c, int(c.random.integers(0, 5)))


def _intermediate(c: Canvas) -> None:
    lesions.drusen(c, int(c.random.integers(12, 60)), 5.5)


def _wet(c: Canvas) -> None:
    lesions.drusen(c, int(c.random.integers(0, 30)), 5.0)
    lesions.membrane(c)


@dataclass(frozen=True)
class _Kind:
    add: Callable[[Canvas], None]
    age: float
    cup: tuple[float, float] = (0.42, 0.10)
    dilated: float = 1.0
    tortuous: float = 1.0
    swollen: bool = False


KINDS: Mapping[str, _Kind] = {
    tree.NORMAL: _Kind(_normal, 50),
    tree.MILD: _Kind(_mild, 57),
    tree.MODERATE: _Kind(_moderate, 58),
    tree.SEVERE: _Kind(_severe, 58),
    tree.PROLIFERATIVE: _Kind(_proliferative, 55),
    tree.BRANCH: _Kind(_branch, 66),
    tree.CENTRAL: _Kind(_central, 67, dilated=1.45, tortuous=1.8, swollen=True),
    tree.INTERMEDIATE: _Kind(_intermediate, 74),
    tree.WET: _Kind(_wet, 78),
    tree.GLAUCOMA: _Kind(_normal, 66, cup=(0.70, 0.10)),
}
"""Node of the tree to how it is drawn, in the order of the tree."""


def draw(kind: str, seed: int) -> Drawn:
    """The same kind and seed give the same bytes. Raises `KeyError` for a node that is not drawn."""
    made = KINDS[kind]
    random = np.random.default_rng([seed, list(KINDS).index(kind)])
    cup = float(np.clip(random.normal(*made.cup), 0.1, 0.92))
    healthy = anatomy.make(random, cup, dilated=made.dilated, tortuous=made.tortuous)
    canvas = Canvas(healthy, random)
    made.add(canvas)
    pixels = photograph(canvas, random, swollen=made.swollen)
    left = bool(random.random() < 0.5)
    age = int(np.clip(random.normal(made.age, 10), 18, 95))

    def seen(at: tuple[float, float]) -> tuple[float, float]:
        return (at[0] if left else anatomy.WIDTH - 1 - at[0], at[1])

    data = encode(pixels if left else pixels[:, ::-1], int(random.integers(84, 96)))
    return Drawn(data, kind, age, left, seen(healthy.centre), anatomy.RADIUS, seen(healthy.disc),
                 seen(healthy.fovea), cup, dict(canvas.counts))  # fmt: skip
