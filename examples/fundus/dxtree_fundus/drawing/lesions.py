"""What do diseases add to a fundus? Blood in front of the retina or in it, lipid, drusen, new vessels,
pallor.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dxtree_fundus.drawing.anatomy import GRID_X, GRID_Y, HEIGHT, RADIUS, WIDTH, Anatomy, Floats

Patch = tuple[tuple[slice, slice], Floats]
"""A part of the picture, and values from 0 to 1 there."""


@dataclass
class Canvas:
    """What is drawn on one fundus. `blood` is optical thickness; `opacity` H x W and `colour` H x W x 3,
    linear and times its opacity, are what lies before the layers below; `counts` is the truth.
    """

    anatomy: Anatomy
    random: np.random.Generator
    blood: Floats = field(default_factory=lambda: np.zeros((HEIGHT, WIDTH), np.float32))
    opacity: Floats = field(default_factory=lambda: np.zeros((HEIGHT, WIDTH), np.float32))
    colour: Floats = field(default_factory=lambda: np.zeros((HEIGHT, WIDTH, 3), np.float32))
    counts: dict[str, int] = field(default_factory=dict)

    def place(self, spread: float | None = None) -> tuple[float, float]:
        """A point off the disc: around the fovea with this standard deviation, or anywhere in the field."""
        a = self.anatomy
        while True:
            if spread is None:
                far, turn = RADIUS * 0.92 * np.sqrt(self.random.random()), self.random.uniform(0, 2 * np.pi)
                x, y = a.centre[0] + far * np.cos(turn), a.centre[1] + far * np.sin(turn)
            else:
                x, y = (c + self.random.normal(0, spread) for c in a.fovea)
            inside = np.hypot(x - a.centre[0], y - a.centre[1]) < 0.93 * RADIUS
            if inside and np.hypot(x - a.disc[0], y - a.disc[1]) > a.disc_radius * 1.25:
                return float(x), float(y)

    def bleed(self, patch: Patch, thickness: float) -> None:
        """Adds blood."""
        where, shape = patch
        self.blood[where] += thickness * shape

    def cover(self, patch: Patch, opacity: float, colour: tuple[float, float, float]) -> None:
        """Lays a layer of this linear colour over what is there."""
        where, shape = patch
        share = opacity * shape
        self.opacity[where] = 1 - (1 - self.opacity[where]) * (1 - share)
        laid = share[..., None] * np.asarray(colour, np.float32)
        self.colour[where] = self.colour[where] * (1 - share[..., None]) + laid

    def count(self, name: str) -> None:
        """One more of a kind."""
        self.counts[name] = self.counts.get(name, 0) + 1


def spot(at: tuple[float, float], size: tuple[float, float], angle: float = 0.0, edge: float = 1.0) -> Patch:
    """An ellipse of half-axes `size` in pixels, and where it lies: 1 inside, falling over `edge` pixels."""
    reach = max(size) + 3 * edge + 1
    y0, y1 = max(0, int(at[1] - reach)), max(0, min(HEIGHT, int(at[1] + reach) + 2))
    x0, x1 = max(0, int(at[0] - reach)), max(0, min(WIDTH, int(at[0] + reach) + 2))
    dx, dy = GRID_X[y0:y1, x0:x1] - at[0], GRID_Y[y0:y1, x0:x1] - at[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    beyond = (np.hypot(along / size[0], across / size[1]) - 1) * min(size)
    shape: Floats = (1 / (1 + np.exp(np.clip(4 * beyond / edge, -30, 30)))).astype(np.float32)
    return (slice(y0, y1), slice(x0, x1)), shape


def microaneurysms(canvas: Canvas, number: int) -> None:
    """Round red dots under 125 um, mostly at the posterior pole."""
    for _ in range(number):
        radius = canvas.random.uniform(0.9, 2.2)
        where = canvas.place(75 if canvas.random.random() < 0.7 else None)
        canvas.bleed(spot(where, (radius, radius), edge=0.8), canvas.random.uniform(0.5, 1.0))
        canvas.count("microaneurysms")


def blots(canvas: Canvas, number: int, spread: float | None = None) -> None:
    """Dot and blot haemorrhages of the deep layers, 0.15 to 0.5 mm, of uneven outline."""
    for _ in range(number):
        x, y = canvas.place(spread)
        radius = canvas.random.uniform(2.8, 8)
        for _ in range(3):
            at = x + canvas.random.normal(0, radius / 3), y + canvas.random.normal(0, radius / 3)
            part = radius * canvas.random.uniform(0.6, 1.0), radius * canvas.random.uniform(0.6, 1.0)
            canvas.bleed(spot(at, part, canvas.random.uniform(0, 3), 1.2), 0.5)
        canvas.count("haemorrhages")


def flames(canvas: Canvas, number: int, sector: tuple[float, float] | None = None) -> None:
    """Haemorrhages of the nerve fibre layer, along the fibres away from the disc; in a sector of angles, if
    any.
    """
    a, random = canvas.anatomy, canvas.random
    for _ in range(number):
        for _ in range(200):
            x, y = canvas.place(None)
            angle = float(np.arctan2(y - a.disc[1], x - a.disc[0]))
            if sector is None or sector[0] <= angle <= sector[1]:
                break
        length, breadth = random.uniform(6, 20), random.uniform(2, 5)
        flame = spot((x, y), (length, breadth), angle + random.normal(0, 0.15), 1.5)
        canvas.bleed(flame, random.uniform(0.7, 1.4))
        canvas.count("haemorrhages")


def exudates(canvas: Canvas, clusters: int) -> None:
    """Hard exudates: small yellow grains with sharp edges, in rings and groups."""
    for _ in range(clusters):
        x, y = canvas.place(60)
        ring = canvas.random.uniform(5, 26)
        for _ in range(int(canvas.random.integers(4, 22))):
            turn, far = canvas.random.uniform(0, 2 * np.pi), ring * canvas.random.normal(1, 0.2)
            at, radius = (x + far * np.cos(turn), y + far * np.sin(turn)), canvas.random.uniform(0.8, 3)
            canvas.cover(spot(at, (radius, radius), edge=0.6), 0.85, (0.85, 0.62, 0.2))
            canvas.count("exudates")


def cotton_wool(canvas: Canvas, number: int) -> None:
    """Swollen nerve fibres: white, soft, 0.3 to 0.7 mm."""
    for _ in range(number):
        radius = canvas.random.uniform(5, 11)
        patch = spot(canvas.place(95), (radius, 0.7 * radius), canvas.random.uniform(0, 3), 4)
        canvas.cover(patch, 0.55, (0.8, 0.6, 0.4))
        canvas.count("cotton wool spots")


def drusen(canvas: Canvas, number: int, largest: float) -> None:
    """Deposits under the macula: pale yellow with soft edges, `largest` the greatest radius in pixels."""
    for _ in range(number):
        radius = canvas.random.uniform(1.1, largest)
        soft = spot(canvas.place(38), (radius, radius * canvas.random.uniform(0.7, 1)), edge=1.2 + radius / 3)
        canvas.cover(soft, canvas.random.uniform(0.2, 0.5), (0.75, 0.5, 0.16))
        canvas.count("drusen")


def membrane(canvas: Canvas) -> None:
    """Neovascular membrane under the macula: grey-green, with blood at its rim, fluid and lipid around."""
    x, y = (c + canvas.random.normal(0, 12) for c in canvas.anatomy.fovea)
    size = canvas.random.uniform(12, 30)
    canvas.cover(spot((x, y), (size, 0.8 * size), edge=5), 0.45, (0.33, 0.27, 0.12))
    turn = canvas.random.uniform(0, 2 * np.pi)
    for _ in range(int(canvas.random.integers(2, 6))):
        turn += canvas.random.uniform(0.3, 0.9)
        at = x + size * np.cos(turn), y + 0.8 * size * np.sin(turn)
        part = canvas.random.uniform(5, 14), canvas.random.uniform(3, 8)
        canvas.bleed(spot(at, part, turn + np.pi / 2, 2), canvas.random.uniform(0.6, 1.4))
    canvas.count("membranes")
    exudates(canvas, int(canvas.random.integers(0, 3)))


def new_vessels(canvas: Canvas) -> None:
    """Fronds of fine, winding vessels on the disc or beside it, sometimes with blood before the retina."""
    from PIL import Image, ImageDraw

    a, random = canvas.anatomy, canvas.random
    picture = Image.new("F", (WIDTH, HEIGHT))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(1, 4))):
        root = np.array(a.disc if random.random() < 0.6 else canvas.place(110))
        for _ in range(int(random.integers(8, 18))):
            angle, at, points = random.uniform(0, 2 * np.pi), root, [tuple(root)]
            for _ in range(int(random.integers(6, 16))):
                angle += random.normal(0, 0.6)
                at = at + 3 * np.array([np.cos(angle), np.sin(angle)])
                points.append(tuple(at))
            pen.line([(float(x), float(y)) for x, y in points], fill=0.6, width=1)
        canvas.count("new vessels")
    canvas.blood += np.asarray(picture, np.float32)
    if random.random() < 0.5:
        x, y = canvas.place(70)
        where, shape = spot((x, y), (random.uniform(18, 45), random.uniform(12, 28)), 0, 2)
        canvas.bleed((where, shape * (GRID_Y[where] > y)), 2.2)
        canvas.count("preretinal haemorrhages")
