"""What reflects light in healthy skin, from its surface to the papillary dermis?

Distances are micrometres, reflectances relative to bright collagen. `Grid` is one horizontal plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial import cKDTree

Array = npt.NDArray[np.float64]
FIELD, PIXELS = 500.0, 192
SPACING = FIELD / PIXELS
_COARSE = 4


@dataclass(frozen=True)
class Grid:
    """Coordinates of the pixels of a field, `PIXELS` x `PIXELS`."""

    y: Array
    x: Array

    @classmethod
    def of(cls, shift: tuple[float, float] = (0.0, 0.0)) -> Grid:
        """A field that lies `shift` micrometres down and to the right."""
        line = (np.arange(PIXELS) + 0.5) * SPACING
        y, x = np.meshgrid(line + shift[0], line + shift[1], indexing="ij")
        return cls(y, x)

    @property
    def points(self) -> Array:
        """Pixels x (y, x)."""
        return np.stack([self.y.ravel(), self.x.ravel()], axis=1)

    def distance(self, y: float, x: float) -> Array:
        """From one point."""
        return np.hypot(self.y - y, self.x - x)


def jittered(rng: np.random.Generator, step: float, disorder: float) -> Array:
    """Points x (y, x) of a hexagonal lattice that covers a field and its surroundings, moved at random."""
    rows = np.arange(-2 * step, FIELD + 2 * step, step * 0.866)
    columns = np.arange(-2 * step, FIELD + 2 * step, step)
    y, x = np.meshgrid(rows, columns, indexing="ij")
    x = x + step / 2 * (np.arange(len(rows)) % 2)[:, None]
    points = np.stack([y.ravel(), x.ravel()], axis=1)
    return points + rng.normal(0, disorder * step, points.shape)


def honeycomb(
    grid: Grid, rng: np.random.Generator, size: float, disorder: float, where: npt.NDArray[np.bool_]
) -> Array:
    """Keratinocytes: dark nuclei, grey cytoplasm, bright borders; `size` is a cell's diameter.

    They are drawn `where` there is epidermis; elsewhere it is 0.
    """
    cells = jittered(rng, size, disorder)
    light = np.zeros(grid.x.shape)
    near, second = cKDTree(cells).query(grid.points[where.ravel()], k=2)[0].T
    border = np.exp(-(((second - near) / 3.0) ** 2))
    nucleus = np.exp(-((near / (0.27 * size)) ** 2))
    light[where] = 0.30 + 0.45 * border - 0.22 * nucleus
    return light


def corneum(grid: Grid, rng: np.random.Generator) -> Array:
    """Stratum corneum: bright, without cells to be told apart, crossed by dark furrows."""
    flakes = gaussian_filter(rng.normal(size=grid.x.shape), 5) * 9
    light = 1.3 + 0.25 * flakes
    for _ in range(rng.integers(1, 4)):
        angle, at = rng.uniform(0, np.pi), rng.uniform(0.15, 0.85) * FIELD
        line = (grid.x - FIELD / 2) * np.cos(angle) + (grid.y - FIELD / 2) * np.sin(angle) + FIELD / 2 - at
        light *= 1 - 0.85 * np.exp(-((line / 7.0) ** 2))
    return np.asarray(np.maximum(light, 0.05))


@dataclass(frozen=True)
class Junction:
    """The dermo-epidermal junction: papillae that rise from `floor` towards the surface.

    `edge` is how bright the pigmented basal cells around a papilla are: rings of "edged" papillae (Pellacani,
    Cesinaro and Seidenari, "Reflectance-mode confocal microscopy of pigmented skin lesions", Journal of the
    American Academy of Dermatology 53(6), 2005).
    """

    papillae: Array
    widths: Array
    floor: float
    height: float
    edge: float

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        *,
        step: float,
        disorder: float,
        edge: float,
        floor: float,
        height: float,
        spread: float,
    ) -> Junction:
        """Papillae `step` apart, whose widths vary by the share `spread`."""
        places = jittered(rng, step, disorder)
        widths = 0.30 * step * np.exp(rng.normal(0, spread, len(places)))
        return cls(places, widths, floor, height, edge)

    def depth(self, grid: Grid) -> Array:
        """Micrometres below the surface at which the dermis begins, smooth over `_COARSE` pixels."""
        few = Grid(grid.y[::_COARSE, ::_COARSE], grid.x[::_COARSE, ::_COARSE])
        found, near = cKDTree(self.papillae).query(few.points, k=3)
        rise = np.exp(-((found / self.widths[near]) ** 2)).max(axis=1).reshape(few.x.shape)
        depth = self.floor - self.height * rise
        return np.asarray(zoom(depth, PIXELS / len(depth), order=1, mode="nearest", grid_mode=True))


def collagen(grid: Grid, rng: np.random.Generator) -> Array:
    """Papillary dermis: bright bundles along one mean direction."""
    noise = rng.normal(size=grid.x.shape)
    angle = rng.uniform(0, np.pi)
    bundles = np.zeros(grid.x.shape)
    for turn in (-0.4, 0.0, 0.4):
        bundles += _streaks(noise, angle + turn)
        noise = noise[::-1].copy()
    bundles /= bundles.std()
    return np.asarray(np.clip(0.55 + 0.28 * bundles, 0.05, None))


def _streaks(noise: Array, angle: float, along: float = 14.0, across: float = 1.4) -> Array:
    """Noise smoothed over an ellipse, by its Fourier transform; widths in pixels."""
    v, u = np.meshgrid(np.fft.fftfreq(noise.shape[0]), np.fft.rfftfreq(noise.shape[1]), indexing="ij")
    one = (u * np.cos(angle) + v * np.sin(angle)) * along
    other = (-u * np.sin(angle) + v * np.cos(angle)) * across
    kernel = np.exp(-2 * np.pi**2 * (one**2 + other**2))
    return np.fft.irfft2(np.fft.rfft2(noise) * kernel, s=noise.shape)


def streaming(grid: Grid, rng: np.random.Generator, angle: float) -> Array:
    """Elongated nuclei that lie along one direction: dark spindles in grey, darker than collagen."""
    spindles = _streaks(rng.normal(size=grid.x.shape), angle, along=5.0, across=1.5)
    return np.asarray(np.clip(0.42 + 0.14 * spindles / spindles.std(), 0.05, None))
