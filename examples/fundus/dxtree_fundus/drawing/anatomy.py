"""What does a healthy fundus hold, and where? Disc, fovea, pigment and a tree of vessels.

Lengths are in pixels of 27 um (a 45 degree field of 13.4 mm over 492 pixels). The disc measures 1.8 mm, the
fovea lies 2.5 discs from it and a little lower; veins are a half wider than arteries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

HEIGHT, WIDTH, RADIUS = 512, 576, 246.0
DISC = 33.0
FOVEA = (165.0, 12.0)
Floats = npt.NDArray[np.float32]
GRID_Y, GRID_X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)


@dataclass(frozen=True)
class Anatomy:
    """A left eye before it is mirrored: disc at the right of the fovea. (x, y) in pixels, `cup` the ratio of
    the cup's diameter to the disc's, `vessels` the thickness of blood H x W in units of a large vein.
    """

    centre: tuple[float, float]
    disc: tuple[float, float]
    disc_radius: float
    fovea: tuple[float, float]
    cup: float
    melanin: Floats
    vessels: Floats
    paths: tuple[npt.NDArray[np.float64], ...]


def make(random: np.random.Generator, cup: float, *, dilated: float = 1.0, tortuous: float = 1.0) -> Anatomy:
    """A fundus centred between disc and fovea, nearer the fovea. `dilated` widens the veins."""
    centre = (WIDTH / 2 + random.normal(0, 6), HEIGHT / 2 + random.normal(0, 4))
    fovea = (centre[0] - 22 + random.normal(0, 14), centre[1] + random.normal(0, 10))
    tilt = random.normal(0, 0.06)
    across = FOVEA[0] * random.normal(1, 0.05)
    disc = (fovea[0] + across, fovea[1] - FOVEA[1] + across * tilt)
    radius = DISC * random.normal(1, 0.07)
    paths, radii = _tree(random, centre, disc, fovea, dilated, tortuous)
    return Anatomy(
        centre, disc, radius, fovea, cup, _melanin(random, fovea), _thickness(paths, radii), tuple(paths)
    )


def _melanin(random: np.random.Generator, fovea: tuple[float, float]) -> Floats:
    """Optical thickness of the pigment: more at the fovea, uneven elsewhere."""
    noise = _uneven(random, 16)
    fine = _uneven(random, 4)
    far = np.hypot(GRID_X - fovea[0], GRID_Y - fovea[1])
    level = random.uniform(0.3, 1.0)
    peak = random.uniform(0.35, 0.6) * np.exp(-((far / 34) ** 2))
    thickness: Floats = np.maximum(level * (1 + 0.10 * noise + 0.05 * fine) + peak, 0).astype(np.float32)
    return thickness


def _uneven(random: np.random.Generator, size: int) -> Floats:
    """Smooth noise of about unit spread whose spots are `size` pixels wide."""
    from PIL import Image

    grid = random.normal(0, 1.4, (HEIGHT // size + 2, WIDTH // size + 2)).astype(np.float32)
    wide = (WIDTH + 2 * size, HEIGHT + 2 * size)
    drawn: Floats = np.asarray(Image.fromarray(grid).resize(wide, Image.Resampling.BICUBIC), np.float32)
    return drawn[:HEIGHT, :WIDTH]


def _tree(
    random: np.random.Generator,
    centre: tuple[float, float],
    disc: tuple[float, float],
    fovea: tuple[float, float],
    dilated: float,
    tortuous: float,
) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.float64]]]:
    """Paths N x 2 and radii N of arteries and veins, grown from the disc; at a fork r^3 = r1^3 + r2^3
    (Murray, PNAS 12:207, 1926). Temporal vessels bend around the fovea and none enters its avascular zone of
    0.5 mm.
    """
    paths, radii, open_ends = [], [], []
    for vein in (False, True):
        first = (3.1 * dilated if vein else 2.1) * random.normal(1, 0.06)
        for up in (-1, 1):
            for temporal in (True, False):
                angle = up * np.radians(random.normal(102 if temporal else 48, 8))
                bend = up * (0.012 if temporal else -0.002) * random.normal(1, 0.2)
                start = np.array(disc) + random.normal(0, 4, 2)
                open_ends.append((start, angle, first * (1 if temporal else 0.75), bend, 0))
    while open_ends:
        at, angle, radius, bend, generation = open_ends.pop()
        points, wobble = [at], 0.0
        for _ in range(220):
            wobble = 0.85 * wobble + random.normal(0, 0.035 * tortuous)
            angle += bend + wobble
            at = at + 3 * np.array([np.cos(angle), np.sin(angle)])
            points.append(at)
            if np.hypot(*(at - centre)) > RADIUS + 6 or np.hypot(*(at - fovea)) < 20:
                break
            if radius > 0.75 and generation < 5 and len(points) > 6 and random.random() < 0.075:
                share = random.uniform(0.2, 0.5)
                small, large = radius * share ** (1 / 3), radius * (1 - share) ** (1 / 3)
                side = random.choice((-1, 1))
                open_ends.append(
                    (at, angle + side * random.uniform(0.5, 1.0), 0.75 * small, 0.3 * bend, generation + 1)
                )
                open_ends.append((at, angle - side * random.uniform(0.05, 0.2), large, bend, generation + 1))
                break
        paths.append(np.array(points))
        radii.append(np.full(len(points), radius))
    return paths, radii


def _thickness(paths: list[npt.NDArray[np.float64]], radii: list[npt.NDArray[np.float64]]) -> Floats:
    """Blood along the line of sight, the thin vessels drawn first."""
    from PIL import Image, ImageDraw

    scale = 2
    picture = Image.new("F", (WIDTH * scale, HEIGHT * scale))
    pen = ImageDraw.Draw(picture)
    for k in sorted(range(len(paths)), key=lambda k: float(radii[k][0])):
        radius = float(radii[k][0])
        points = [(float(x) * scale, float(y) * scale) for x, y in paths[k]]
        pen.line(points, fill=min(1.0, radius / 3.1), width=max(1, round(2 * radius * scale)), joint="curve")
    thickness: Floats = np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX), np.float32)
    return thickness
