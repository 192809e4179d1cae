"""How strongly does simulated skin scatter, voxel by voxel, and what does a lesion of each kind change?

Signs: basal cell carcinoma has dark ovoid nests with a darker rim and bright stroma around, and the
dermo-epidermal junction is lost over them (Ulrich et al. 2015, Br J Dermatol 173, 428; Gambichler et al.
2007, J Dermatol Sci 45, 167); so it is over a melanoma, whose cells scatter strongly and grow down in
columns like icicles; a common nevus keeps the junction, with long ridges and nests below (Gambichler et al.
2007, J Am Acad Dermatol 57, 629, for both); a seborrheic keratosis is a thick epidermis with horn. Each sign
is sometimes missing, weak, or found in another kind, as in practice; how often is our choice, not a measured
share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ROW_MM, COLUMN_MM, SLICE_MM = 0.008, 0.025, 0.12
ROWS, COLUMNS, SLICES = 136, 240, 10


@dataclass
class Anatomy:
    """A volume of skin, slices x rows x columns, `SLICE_MM` x `ROW_MM` x `COLUMN_MM`.

    `mu`: attenuation by scattering, per mm, 0 in air. `depth`: mm below the surface. `across`, `along`: mm
    from the middle. `junction`: depth of the dermo-epidermal junction, slices x columns. `lesion`: true where
    the lesion is.
    """

    mu: Array = field(repr=False)
    depth: Array = field(repr=False)
    across: Array = field(repr=False)
    along: Array = field(repr=False)
    junction: Array = field(repr=False)
    lesion: Mask = field(repr=False)


def draw_skin(rng: np.random.Generator) -> Anatomy:
    """Air, stratum corneum, epidermis, a wavy junction, papillary and reticular dermis, vessels."""
    rows = (np.arange(ROWS) + 0.5) * ROW_MM
    across = (np.arange(COLUMNS) + 0.5 - COLUMNS / 2) * COLUMN_MM
    along = (np.arange(SLICES) + 0.5 - SLICES / 2) * SLICE_MM
    surface = rng.uniform(0.1, 0.16) + _sheet(rng, (3, 12), 0.012) + rng.uniform(-0.008, 0.008) * across
    depth = (rows[None, :, None] - surface[:, None, :]).astype(np.float64)
    shape = depth.shape
    junction = rng.uniform(0.075, 0.12) + _sheet(rng, (0.6, 2), 0.012)
    skin = Anatomy(
        np.zeros(shape),
        depth,
        np.broadcast_to(across, shape),
        np.broadcast_to(along[:, None, None], shape),
        junction,
        np.zeros(shape, bool),
    )
    epidermis, papillary = rng.uniform(2.0, 3.0), rng.uniform(4.5, 6.0)
    texture = np.exp(_texture(rng, (1.0, 2.0, 4.0), 0.18))
    reticular = (papillary - rng.uniform(0.8, 1.8)) * texture
    deep = junction[:, None, :] + rng.uniform(0.1, 0.2)
    skin.mu[:] = np.where(depth > deep, reticular, papillary * texture)
    skin.mu[depth < junction[:, None, :]] = epidermis
    skin.mu[depth <= 0] = 0
    for _ in range(int(rng.integers(3, 12))):
        _vessel(skin, rng)
    _horn(skin, rng.uniform(0.012, 0.022), rng.uniform(7, 11))
    return skin


def add_lesion(kind: str, skin: Anatomy, rng: np.random.Generator) -> None:
    """What a lesion of `kind` does to skin, in place, more or less plainly; and what any lesion may do.

    Skin around it may be thick, horny or inflamed whatever the kind. Between plain skin (0) and the lesion in
    full (1) the logarithm of attenuation is taken at .75 to 1.
    """
    if rng.random() < 0.3:
        _thicken(skin, rng)
    if rng.random() < 0.35:
        _inflame(skin, rng)
    plain = skin.mu.copy()
    KINDS[kind](skin, rng)
    if rng.random() < 0.3:
        _patchy_horn(skin, rng, _away(skin, rng, rng.uniform(0.8, 2.8)))
    plain_share = 1 - rng.uniform(0.75, 1)
    skin.mu[:] = plain**plain_share * skin.mu ** (1 - plain_share)


def add_basal_cell_carcinoma(skin: Anatomy, rng: np.random.Generator) -> None:
    """Dark nests, most with a darker rim, most in bright stroma; mostly no junction above."""
    rim = rng.uniform(0.02, 0.045) if rng.random() < 0.6 else 0.0
    stroma = rng.uniform(5.5, 7.0) if rng.random() < 0.6 else 0.0
    inner = rng.uniform(1.4, 2.9)
    _nests(skin, rng, int(rng.integers(2, 9)), (0.08, 0.3), (0.08, 0.5), inner, rim, stroma)
    if rng.random() < 0.65:
        _lose_junction(skin, rng, inner + rng.uniform(0.3, 1.2))


def add_melanoma(skin: Anatomy, rng: np.random.Generator) -> None:
    """Strong even scattering from the epidermis down, ending in columns; mostly without a junction."""
    width, thick = rng.uniform(1.2, 2.8), rng.uniform(0.15, 0.5)
    place = _away(skin, rng, width)
    columns = np.abs(_sheet(rng, (0.5, rng.uniform(2, 5)), 1.0)) * rng.uniform(0.04, 0.2)
    lower = thick * np.maximum(0, 1 - place**3)[:, 0] + np.where(place[:, 0] < 1, columns, 0)
    lost = rng.random() < 0.75
    top = np.full_like(skin.junction, 0.03) if lost else skin.junction
    body = (skin.depth > top[:, None]) & (skin.depth < lower[:, None]) & (place < 1)
    strength = rng.uniform(5.5, 9) if rng.random() < 0.65 else rng.uniform(2.5, 5)
    _fill(skin, rng, body, strength, 0.08)
    if rng.random() < 0.35:
        _nests(skin, rng, int(rng.integers(1, 6)), (0.06, 0.2), (0.15, 0.45), rng.uniform(1.8, 3.4), 0.0, 0.0)


def add_nevus(skin: Anatomy, rng: np.random.Generator) -> None:
    """The junction mostly stays, with long ridges; nests below it, most a little darker than dermis."""
    width = rng.uniform(1.0, 2.6)
    place = _away(skin, rng, width)[:, 0]
    period = rng.uniform(0.12, 0.25)
    phase = 2 * np.pi * skin.across[:, 0] / period + _sheet(rng, (0.7, 4), 0.8)
    ridge = np.maximum(0, np.sin(phase)) * rng.uniform(0.02, 0.14) * np.maximum(0, 1 - place**4)
    body = (skin.depth > skin.junction[:, None]) & (skin.depth < (skin.junction + ridge)[:, None])
    _fill(skin, rng, body, rng.uniform(2.2, 4.5), 0.05)
    if rng.random() < 0.7:
        inner = rng.uniform(1.8, 3.6) if rng.random() < 0.75 else rng.uniform(5, 8)
        _nests(skin, rng, int(rng.integers(2, 9)), (0.06, 0.22), (0.12, 0.5), inner, 0.0, 0.0)
    if rng.random() < 0.3:
        _lose_junction(skin, rng, rng.uniform(2.5, 5))


def add_seborrheic_keratosis(skin: Anatomy, rng: np.random.Generator) -> None:
    """A thick epidermis with a sharp, even base; mostly more horn on top and balls of it within."""
    width, thick = rng.uniform(1.2, 2.8), rng.uniform(0.1, 0.4)
    place = _away(skin, rng, width)
    lower = thick * np.maximum(0, 1 - place[:, 0] ** rng.uniform(2, 8)) + _sheet(
        rng, (1, 4), rng.uniform(0.01, 0.04)
    )
    body = (skin.depth > 0) & (skin.depth < lower[:, None]) & (place < 1)
    _fill(skin, rng, body, rng.uniform(2.3, 4.8), 0.1)
    if rng.random() < 0.55:
        _nests(
            skin, rng, int(rng.integers(2, 8)), (0.04, 0.1), (0.06, 0.7 * thick), rng.uniform(7, 12), 0.0, 0.0
        )
    if rng.random() < 0.55:
        _patchy_horn(skin, rng, place)


KINDS: dict[str, Callable[[Anatomy, np.random.Generator], None]] = {
    "melanoma": add_melanoma,
    "basal cell carcinoma": add_basal_cell_carcinoma,
    "nevus": add_nevus,
    "seborrheic keratosis": add_seborrheic_keratosis,
}
"""Kind to what it does to skin, in place."""


def _away(skin: Anatomy, rng: np.random.Generator, width: float) -> Array:
    """Distance from a lesion's middle as a share of its half-width; its length along slices is alike."""
    x0, y0 = rng.uniform(-0.5, 0.5), rng.uniform(-0.2, 0.2)
    return np.hypot((skin.across - x0) / width, (skin.along - y0) / max(1.0, width))


def _fill(skin: Anatomy, rng: np.random.Generator, body: Mask, strength: float, rough: float) -> None:
    level = strength * np.exp(_texture(rng, (0.8, 1.5, 2.0), rough))
    skin.mu[body] = level[body]
    skin.lesion |= body


def _nests(
    skin: Anatomy,
    rng: np.random.Generator,
    number: int,
    radius: tuple[float, float],
    below: tuple[float, float],
    inner: float,
    rim: float,
    stroma: float,
) -> None:
    """Ellipsoids with a darker rim and bright stroma around, where `rim` and `stroma` are above 0."""
    half, dark = rng.uniform(0.5, 1.8), rng.uniform(1.3, 2.5)
    for _ in range(number):
        size = rng.uniform(*radius)
        x0, y0, z0 = rng.uniform(-half, half), rng.uniform(-0.4, 0.4), rng.uniform(*below)
        long = rng.uniform(1.0, 1.9)
        away = np.sqrt(
            ((skin.across - x0) / (size * long)) ** 2
            + ((skin.along - y0) / (size * long)) ** 2
            + ((skin.depth - z0) / size) ** 2
        )
        inside = skin.depth > 0.02
        if stroma:
            around = inside & (away < 1 + (rim + 0.08) / size) & ~skin.lesion
            skin.mu[around & (skin.depth > skin.junction[:, None])] = stroma
        if rim:
            skin.mu[inside & (away < 1 + rim / size) & ~skin.lesion] = inner / dark
        nest = inside & (away < 1)
        _fill(skin, rng, nest, inner, 0.08)


def _lose_junction(skin: Anatomy, rng: np.random.Generator, strength: float) -> None:
    """Above a lesion epidermis and upper dermis become one."""
    columns = skin.lesion.any(axis=1)
    wide = gaussian_filter(columns.astype(np.float64), (0, 6)) > 0.15
    upper = wide[:, None] & (skin.depth > 0) & (skin.depth < skin.junction[:, None] + 0.07) & ~skin.lesion
    skin.mu[upper] = strength * np.exp(_texture(rng, (0.8, 1.5, 2.0), 0.08))[upper]


def _patchy_horn(skin: Anatomy, rng: np.random.Generator, place: Array) -> None:
    patchy = np.maximum(0, _sheet(rng, (1, 5), 1.0) + 0.6) * rng.uniform(0.02, 0.06)
    skin.mu[(skin.depth > 0) & (skin.depth < patchy[:, None]) & (place < 1)] = rng.uniform(7, 12)


def _thicken(skin: Anatomy, rng: np.random.Generator) -> None:
    """Epidermis goes deeper over a stretch, as after rubbing."""
    place = _away(skin, rng, rng.uniform(0.8, 2.8))[:, 0]
    skin.junction += rng.uniform(0.02, 0.16) * np.maximum(0, 1 - place**4)
    upper = (skin.depth > 0.03) & (skin.depth < skin.junction[:, None])
    skin.mu[upper] = rng.uniform(2.2, 3.6)


def _inflame(skin: Anatomy, rng: np.random.Generator) -> None:
    """Upper dermis scatters more or less over a stretch, as with infiltrate or fluid."""
    place = _away(skin, rng, rng.uniform(0.8, 2.8))
    lower = skin.junction + rng.uniform(0.08, 0.3)
    upper = (skin.depth > skin.junction[:, None]) & (skin.depth < lower[:, None])
    skin.mu[upper & (place < 1)] *= rng.uniform(0.55, 1.5)


def _horn(skin: Anatomy, thick: float, strength: float) -> None:
    skin.mu[(skin.depth > 0) & (skin.depth < thick)] = strength


def _vessel(skin: Anatomy, rng: np.random.Generator) -> None:
    """A dark tube in dermis, slanted across the slices."""
    radius, z0 = rng.uniform(0.015, 0.045), rng.uniform(0.2, 0.6)
    x0, slant = rng.uniform(-2.8, 2.8), rng.uniform(-2, 2)
    away = np.hypot(skin.across - x0 - slant * skin.along, 1.5 * (skin.depth - z0))
    skin.mu[away < radius * 1.5] = rng.uniform(0.5, 1.2)


def _sheet(rng: np.random.Generator, smooth: tuple[float, float], height: float) -> Array:
    """A smooth random sheet over slices x columns of standard deviation `height`."""
    sheet = gaussian_filter(rng.normal(size=(SLICES, COLUMNS)), smooth, mode="wrap")
    scaled: Array = height * (sheet - sheet.mean()) / max(float(sheet.std()), 1e-9)
    return scaled


def _texture(rng: np.random.Generator, smooth: tuple[float, float, float], spread: float) -> Array:
    made = gaussian_filter(rng.normal(size=(SLICES, ROWS, COLUMNS)), smooth, mode="wrap", truncate=2.5)
    scaled: Array = spread * made / max(float(made.std()), 1e-9)
    return scaled
