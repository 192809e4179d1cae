"""What do cell nuclei leave on a section: how many, where, how large and how dark?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modalities.stacks.stack import FloatArray

_RIM, _SOFT = 0.35, 0.3
"""Chromatin gathered at the membrane, as a share of the nucleus's own; width of its edge in semi-axes."""


@dataclass(frozen=True)
class Nuclei:
    """Ellipses, one entry a nucleus in each array.

    `x`, `y`, `long`, `short`: centre and semi-axes in micrometres. `angle`: of the long axis to the surface,
    radians. `density`: optical density of haematoxylin. `clumps`: spread of the chromatin, a share of the
    density. `nucleolus`: optical density that it adds, 0 for none.
    """

    x: FloatArray
    y: FloatArray
    long: FloatArray
    short: FloatArray
    angle: FloatArray
    density: FloatArray
    clumps: float = 0.2
    nucleolus: float = 0.0

    def paint(self, haematoxylin: FloatArray, um_per_pixel: float, rng: np.random.Generator) -> None:
        """Add the nuclei to a map of optical density; where two lie on each other the darker one counts."""
        if not self.x.size:
            return
        height, width = haematoxylin.shape
        reach = int(np.ceil(self.long.max() * (1 + _SOFT) / um_per_pixel))
        step = np.arange(-reach, reach + 1)
        column, row = (np.rint(c / um_per_pixel).astype(int) for c in (self.x, self.y))
        inside = (column >= reach) & (column < width - reach) & (row >= reach) & (row < height - reach)
        keep = np.flatnonzero(inside)
        rows = row[keep, None, None] + step[None, :, None]
        columns = column[keep, None, None] + step[None, None, :]
        dx = columns * um_per_pixel - self.x[keep, None, None]
        dy = rows * um_per_pixel - self.y[keep, None, None]
        cosine, sine = np.cos(self.angle[keep, None, None]), np.sin(self.angle[keep, None, None])
        along = (dx * cosine + dy * sine) / self.long[keep, None, None]
        across = (dy * cosine - dx * sine) / self.short[keep, None, None]
        radius = np.sqrt(along**2 + across**2)
        body = np.clip((1 + _SOFT / 2 - radius) / _SOFT, 0, 1)
        rim = _RIM * np.exp(-(((radius - 0.85) / 0.2) ** 2))
        grain = 1 + self.clumps * rng.standard_normal(body.shape, dtype=np.float32)
        value = self.density[keep, None, None] * body * (0.75 + rim) * grain
        if self.nucleolus:
            value += self.nucleolus * np.exp(-((radius / 0.3) ** 2))
        rows, columns = np.broadcast_arrays(rows, columns)
        np.maximum.at(haematoxylin, (rows, columns), value.astype(np.float32))


def scatter(
    mask: np.ndarray, um_per_pixel: float, spacing_um: float, rng: np.random.Generator, jitter: float = 0.3
) -> tuple[FloatArray, FloatArray]:
    """Places about `spacing_um` apart in the true pixels of `mask`, x and y in micrometres.

    A hexagonal grid, as cells pack, each place off by up to `jitter` spacings.
    """
    height, width = (n * um_per_pixel for n in mask.shape)
    ys = np.arange(spacing_um / 2, height, spacing_um * 0.866)
    xs = np.arange(spacing_um / 2, width, spacing_um)
    grid = np.stack(np.meshgrid(xs, ys))
    grid[0, 1::2] += spacing_um / 2
    x, y = (grid + rng.uniform(-jitter, jitter, grid.shape) * spacing_um).reshape(2, -1)
    column = np.clip((x / um_per_pixel).astype(int), 0, mask.shape[1] - 1)
    row = np.clip((y / um_per_pixel).astype(int), 0, mask.shape[0] - 1)
    kept = mask[row, column] & (x < width) & (y < height)
    return x[kept].astype(np.float32), y[kept].astype(np.float32)


def cells(
    places: tuple[FloatArray, FloatArray],
    rng: np.random.Generator,
    *,
    radius_um: float,
    spread: float,
    elongation: float = 1.2,
    density: float = 0.9,
    angle: FloatArray | float | None = None,
    clumps: float = 0.2,
    nucleolus: float = 0.0,
) -> Nuclei:
    """Nuclei at `places`: mean radius, the spread of its logarithm, and long axis divided by short."""
    x, y = places
    radius = radius_um * np.exp(rng.normal(0, spread, x.size)).clip(0.4, 2.4)
    stretch = np.sqrt(elongation * np.exp(rng.normal(0, 0.1 + spread / 3, x.size)).clip(0.7, 2))
    turn = rng.uniform(0, np.pi, x.size) if angle is None else np.broadcast_to(angle, x.shape)
    dark = density * np.exp(rng.normal(0, 0.1 + spread / 2, x.size)).clip(0.5, 2)
    parts = (radius * stretch, radius / stretch, turn, dark)
    long, short, angles, densities = (p.astype(np.float32) for p in parts)
    return Nuclei(x, y, long, short, angles, densities, clumps, nucleolus)
