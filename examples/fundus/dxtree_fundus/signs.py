"""Which numbers of a fundus photograph tell diseases apart? Spots by size, sectors, the disc and the macula.

Spots are found by the eigenvalues of the Hessian of the density at three sizes: both far from zero in a round
spot, one near zero along a vessel (Frangi et al., MICCAI 1998). Dark spots are blood, bright ones lipid or
drusen.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dxtree_fundus.field import SIDE, Flat, Floats

SIZES = (1.4, 2.8, 5.6)
"""Sigma in pixels: microaneurysms, blot haemorrhages and drusen, large haemorrhages."""

SHARES = (0.9, 0.98, 0.995, 0.999, 0.9998)
DISC = 26.0
"""Radius of the optic disc in pixels: 0.9 mm."""

FOVEA = 125.0
"""Pixels from the disc to the fovea: 2.5 diameters of the disc."""

RINGS, SECTORS = 10, 8
Doubles = npt.NDArray[np.float64]
_Y, _X = np.mgrid[:SIDE, :SIDE].astype(np.float32)
_SECTOR = (np.arctan2(_Y - (SIDE - 1) / 2, _X - (SIDE - 1) / 2) / (2 * np.pi) * SECTORS % SECTORS).astype(
    int
) % SECTORS
_IN_SECTOR = np.bincount(_SECTOR.ravel(), minlength=SECTORS)


def describe(flat: Flat) -> Doubles:
    """The field to some 170 finite numbers, the same for a picture and its mirror image."""
    green = flat.density[..., 1]
    x, y = _X, _Y
    disc = find_disc(flat)
    fovea = find_fovea(flat, disc)
    macula = flat.inside & (np.hypot(x - fovea[0], y - fovea[1]) < 70)
    away = flat.inside & (np.hypot(x - disc[0], y - disc[1]) > 1.6 * DISC)
    numbers: list[npt.NDArray[np.floating]] = []
    dark_spots = np.zeros_like(green)
    for size in SIZES:
        low, high = _eigenvalues(green, size)
        dark, bright, line = np.maximum(-high, 0), np.maximum(low, 0), np.maximum(-low, 0)
        dark_spots = np.maximum(dark_spots, np.where(away, dark, 0))
        for spots in (dark, bright):
            numbers += [_quantiles(spots[away]), _quantiles(spots[away & macula])]
            numbers.append(np.sort(_by_sector(spots * away))[::-1])
        numbers.append(_quantiles(line[flat.inside]))
    numbers += [_rings(flat, disc), _large(flat, away), _large(flat, away & macula)]
    blood = away & (green > 0.35)
    numbers.append(np.sort(_by_sector(blood.astype(np.float32)))[::-1])
    numbers.append(np.array([blood.mean(), (blood & macula).mean(), (away & (green < -0.3)).mean()]))
    return np.concatenate([np.asarray(part, np.float64).ravel() for part in numbers])


def find_disc(flat: Flat) -> tuple[float, float]:
    """Centre of the optic disc (x, y): the brightest spot of its size, with vessels in it."""
    from scipy.ndimage import gaussian_filter

    light = -flat.density[..., :2].mean(axis=2)
    coarse = 4
    small, blood, inside = (
        a.reshape(SIDE // coarse, coarse, SIDE // coarse, coarse).mean(axis=(1, 3))
        for a in (light, np.maximum(flat.density[..., 1], 0), flat.inside.astype(np.float32))
    )
    size = DISC / coarse
    spot = gaussian_filter(small, size / 2) - gaussian_filter(small, size * 1.2)
    score = np.where(inside > 0.5, spot + 0.3 * gaussian_filter(blood, size / 2), -np.inf)
    row, column = np.unravel_index(int(score.argmax()), score.shape)
    return coarse * (float(column) + 0.5) - 0.5, coarse * (float(row) + 0.5) - 0.5


def find_fovea(flat: Flat, disc: tuple[float, float]) -> tuple[float, float]:
    """The darkest place at the right distance from the disc, on the side that has more retina."""
    from scipy.ndimage import gaussian_filter

    smooth = gaussian_filter(flat.density[..., 1] + flat.density[..., 2], 9)
    side = 1 if disc[0] < SIDE / 2 else -1
    expected = np.hypot(_X - (disc[0] + side * FOVEA), _Y - disc[1] - 8)
    score = np.where((expected < 40) & flat.inside, smooth - 0.004 * expected, -np.inf)
    if not np.isfinite(score).any():
        return SIDE / 2, SIDE / 2
    row, column = np.unravel_index(int(score.argmax()), score.shape)
    return float(column), float(row)


def _eigenvalues(image: Floats, size: float) -> tuple[Floats, Floats]:
    """Lower and higher eigenvalue of the Hessian, times size squared."""
    from scipy.ndimage import gaussian_filter

    xx, yy, xy = (gaussian_filter(image, size, order=order) for order in ((0, 2), (2, 0), (1, 1)))
    mean, spread = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    return size**2 * (mean - spread), size**2 * (mean + spread)


def _quantiles(values: Floats) -> Doubles:
    if not values.size:
        return np.zeros(len(SHARES))
    return np.log1p(20 * np.quantile(values, SHARES).astype(np.float64))


def _by_sector(values: Floats) -> Doubles:
    """Mean in each of eight sectors around the centre, as a logarithm."""
    sums = np.bincount(_SECTOR.ravel(), values.ravel().astype(np.float64), SECTORS)
    return np.log1p(500 * sums / _IN_SECTOR)


def _rings(flat: Flat, disc: tuple[float, float]) -> Doubles:
    """Light in rings around the disc's centre, green and blue, against the outermost: the cup and the rim."""
    ring = (np.hypot(_X - disc[0], _Y - disc[1]) / (1.8 * DISC) * RINGS).astype(int)
    parts = [(ring == r) & flat.inside for r in range(RINGS)]
    found = []
    for k in (1, 2):
        light = -flat.density[..., k]
        means = [np.median(light[part]) if part.any() else 0.0 for part in parts]
        found.append(np.array(means) - means[-1])
    return np.concatenate(found)


def _large(flat: Flat, where: npt.NDArray[np.bool_]) -> Doubles:
    """Quantiles of the smoothed density in all bands: large pale or dark areas."""
    from scipy.ndimage import gaussian_filter

    if not where.any():
        return np.zeros(15)
    bands = [gaussian_filter(flat.density[..., k], 6)[where] for k in range(3)]
    return np.concatenate([np.quantile(b, (0.005, 0.05, 0.5, 0.95, 0.995)) for b in bands]).astype(np.float64)
