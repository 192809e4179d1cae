"""Which echoes and losses has simulated skin, and what does a lesion of each kind change in them?

Signs: melanoma is even, poor in echoes, spindle-shaped and sharp below; basal cell carcinoma holds bright
dots (Uhara et al. 2007, Dermatol Surg 33, 1215: 21 of 29, and 3 of 56 melanomas fainter ones); the horn of
a seborrheic keratosis shadows what is below (Harland et al. 2000, Br J Dermatol 143, 281); an angioma holds
lakes of blood, which let sound through. Each sign is sometimes missing or found in another kind, as in
practice; how often is our choice, but for those dots not a measured share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, gaussian_filter1d

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ROW_MM, COLUMN_MM = 0.02, 0.04
ROWS, COLUMNS = 256, 240
SILENT_DB = -90.0


@dataclass
class Anatomy:
    """A slice of skin on a grid of `ROW_MM` x `COLUMN_MM`, rows from the transducer down.

    `echo`: backscatter in dB against reticular dermis. `loss`: attenuation one way, dB per mm and MHz.
    `depth`: mm below the surface, negative in the coupling gel. `lesion`: true where the lesion is.
    """

    echo: Array = field(repr=False)
    loss: Array = field(repr=False)
    depth: Array = field(repr=False)
    across: Array = field(repr=False)
    lesion: Mask = field(repr=False)

    def put(self, where: Mask, echo: float | Array, loss: float) -> None:
        """Tissue of this backscatter and loss, where `where` says."""
        self.echo[where] = echo[where] if isinstance(echo, np.ndarray) else echo
        self.loss[where] = loss


def draw_skin(rng: np.random.Generator) -> Anatomy:
    """Gel, epidermis, a hypoechoic band below it in some, dermis of bundles of collagen, subcutis."""
    rows = (np.arange(ROWS) + 0.5) * ROW_MM
    across = (np.arange(COLUMNS) + 0.5 - COLUMNS / 2) * COLUMN_MM
    surface = rng.uniform(0.4, 0.7) + _wave(rng, 0.03, 25) + rng.uniform(-0.012, 0.012) * across
    depth = (rows[:, None] - surface[None, :]).astype(np.float64)
    skin = Anatomy(
        np.full(depth.shape, SILENT_DB),
        np.zeros(depth.shape),
        depth,
        np.broadcast_to(across, depth.shape),
        np.zeros(depth.shape, bool),
    )
    collagen = _texture(rng, (2.0, 6.0), 2.5)
    bottom = rng.uniform(1.3, 2.3) + _wave(rng, 0.12, 14)[None, :]
    septa = np.where(_texture(rng, (2.0, 14.0), 1.0) > 1.5, -4.0, -17.0)
    skin.put(depth > bottom, septa, rng.uniform(0.05, 0.09))
    dermis = (depth > 0) & (depth <= bottom)
    skin.put(dermis, collagen, rng.uniform(0.1, 0.22))
    band = rng.uniform(0.12, 0.4) if rng.random() < 0.5 else 0.0  # of sun-damaged skin
    skin.put(dermis & (depth < band + 0.1), collagen - rng.uniform(7, 12), 0.12)
    _cover(skin, rng.uniform(0.08, 0.13), rng.uniform(5, 9), rng.uniform(0.2, 0.3))
    return skin


def add_melanoma(skin: Anatomy, rng: np.random.Generator) -> None:
    """Even, dark, a spindle with a sharp lower border."""
    width, thick = rng.uniform(1.6, 3.4), rng.uniform(0.45, 1.5)
    body = _body(
        skin,
        rng,
        width,
        thick,
        power=rng.uniform(1.6, 2.4),
        rough=rng.uniform(0.02, 0.07),
        top=rng.uniform(0.05, 0.1),
    )
    _fill(skin, rng, body, echo=rng.uniform(-22, -14), blur=0.6, texture=0.7, loss=rng.uniform(0.09, 0.2))
    if rng.random() < 0.08:
        _dots(skin, rng, body, int(rng.integers(1, 4)))
    if rng.random() < 0.1:  # horn on a melanoma
        _horn(skin, rng, body, rng.uniform(0.04, 0.1), rng.uniform(0.4, 1.0))


def add_basal_cell_carcinoma(skin: Anatomy, rng: np.random.Generator) -> None:
    """Dark with bright dots; nests of another depth each, so that the lower border is lobed."""
    width, thick = rng.uniform(1.2, 3.2), rng.uniform(0.5, 1.6)
    body = _body(
        skin,
        rng,
        width,
        thick,
        power=rng.uniform(2, 4),
        rough=rng.uniform(0.06, 0.18),
        top=rng.uniform(0.04, 0.12),
    )
    _fill(skin, rng, body, echo=rng.uniform(-19, -12), blur=1.5, texture=1.6, loss=rng.uniform(0.1, 0.2))
    if rng.random() < 0.75:
        _dots(skin, rng, body, int(rng.integers(2, 12)))
    if rng.random() < 0.15:  # a crust
        _horn(skin, rng, body, rng.uniform(0.04, 0.12), rng.uniform(0.4, 1.2))


def add_seborrheic_keratosis(skin: Anatomy, rng: np.random.Generator) -> None:
    """Raised, with a flat base and a cover of horn whose shadow lies over what is below."""
    width, thick = rng.uniform(1.5, 3.4), rng.uniform(0.3, 0.9)
    body = _body(skin, rng, width, thick, power=rng.uniform(4, 8), rough=0.05, top=0.02)
    _fill(skin, rng, body, echo=rng.uniform(-18, -9), blur=1.2, texture=1.4, loss=rng.uniform(0.15, 0.3))
    if rng.random() < 0.85:
        _horn(skin, rng, body, rng.uniform(0.05, 0.2), rng.uniform(0.5, 1.8))


def add_angioma(skin: Anatomy, rng: np.random.Generator) -> None:
    """Lakes of blood between septa: nearly silent, little loss, so that what is below is brighter."""
    width, thick = rng.uniform(0.9, 2.4), rng.uniform(0.6, 1.7)
    body = _body(skin, rng, width, thick, power=rng.uniform(1.8, 2.6), rough=0.06, top=rng.uniform(0.06, 0.2))
    _fill(skin, rng, body, echo=rng.uniform(-26, -17), blur=0.9, texture=1.0, loss=rng.uniform(0.01, 0.06))
    if rng.random() < 0.65:
        septa = body & (np.abs(_texture(rng, (4.0, 4.0), 1.0)) < rng.uniform(0.12, 0.3))
        skin.put(septa, rng.uniform(-9, -3), 0.08)


KINDS: dict[str, Callable[[Anatomy, np.random.Generator], None]] = {
    "melanoma": add_melanoma,
    "basal cell carcinoma": add_basal_cell_carcinoma,
    "seborrheic keratosis": add_seborrheic_keratosis,
    "angioma": add_angioma,
}
"""Kind to what it does to skin, in place."""


def _body(
    skin: Anatomy,
    rng: np.random.Generator,
    width: float,
    thick: float,
    *,
    power: float,
    rough: float,
    top: float,
) -> Mask:
    """A lesion `width` mm to each side and `thick` deep: a superellipse, its border `rough` mm uneven."""
    centre = rng.uniform(-0.9, 0.9)
    share = np.abs(skin.across - centre) / width
    lower = thick * np.maximum(0, 1 - share**power) ** (1 / min(power, 2.5)) + _wave(rng, rough, 5)[None, :]
    body: Mask = (share < 1) & (skin.depth > top) & (skin.depth < top + lower)
    if not body.any():
        body = (share < 0.5) & (skin.depth > top) & (skin.depth < top + thick)
    skin.lesion |= body
    return body


def _fill(
    skin: Anatomy,
    rng: np.random.Generator,
    body: Mask,
    *,
    echo: float,
    blur: float,
    texture: float,
    loss: float,
) -> None:
    """Backscatter of a lesion, its border washed out over `blur` pixels of the grid."""
    inside = gaussian_filter(body.astype(np.float64), (blur, blur / 2))
    level = echo + _texture(rng, (4.0, 5.0), texture)
    skin.echo[:] = np.where(skin.depth > 0, skin.echo * (1 - inside) + level * inside, skin.echo)
    skin.loss[:] = skin.loss * (1 - inside) + loss * inside


def _dots(skin: Anatomy, rng: np.random.Generator, body: Mask, number: int) -> None:
    """Bright dots .06 to .16 mm large within a lesion."""
    places = np.argwhere(body)
    for row, column in places[rng.integers(len(places), size=number)]:
        size = rng.uniform(0.06, 0.16) / 2
        far = ((np.arange(ROWS) - row) * ROW_MM)[:, None] ** 2 + ((np.arange(COLUMNS) - column) * COLUMN_MM)[
            None
        ] ** 2
        skin.echo[(far < size**2 + COLUMN_MM**2) & (skin.depth > 0.1)] = rng.uniform(0, 6)


def _horn(skin: Anatomy, rng: np.random.Generator, body: Mask, thick: float, loss: float) -> None:
    """Patches of horn on top, up to `thick` mm, thinner towards their edges."""
    columns = body.any(axis=0)
    height = thick * np.clip(0.8 + _wave(rng, 0.6, 7), 0, 1.3) * gaussian_filter1d(columns * 1.0, 4)
    skin.put((skin.depth > -0.02) & (skin.depth < height[None, :]), rng.uniform(6, 11), loss)


def _cover(skin: Anatomy, thick: float, echo: float, loss: float) -> None:
    skin.put((skin.depth > 0) & (skin.depth < thick), echo, loss)


def _wave(rng: np.random.Generator, height: float, smooth: float) -> Array:
    """A smooth line over the columns, of standard deviation `height`."""
    line = gaussian_filter1d(rng.normal(size=COLUMNS), smooth, mode="wrap")
    scaled: Array = height * (line - line.mean()) / max(float(line.std()), 1e-9)
    return scaled


def _texture(rng: np.random.Generator, smooth: tuple[float, float], spread: float) -> Array:
    field_ = gaussian_filter(rng.normal(size=(ROWS, COLUMNS)), smooth, mode="wrap")
    scaled: Array = spread * field_ / max(float(field_.std()), 1e-9)
    return scaled
