"""How is a stained section simulated, and written as a whole-slide image? Needs the extra `slides`.

Tissue is laid out in micrometres (`skin`, `tumours`) as optical densities of the two stains, which light
passes by the law of Beer and Lambert: I = I0 exp(-(cH H + cE E)) in each of red, green and blue (Ruifrok &
Johnston 2001). Stains, lamp and strength of staining differ from slide to slide, as they do between
laboratories.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from core.errors import InputError, MissingExtra
from modalities.histopathology import tumours
from modalities.histopathology.skin import Mask, Section, healthy_skin

KINDS: dict[str, Callable[[Section, np.random.Generator], None]] = {
    "nevus": tumours.nevus,
    "melanoma": tumours.melanoma,
    "basal cell carcinoma": tumours.basal_cell_carcinoma,
    "squamous cell carcinoma": tumours.squamous_cell_carcinoma,
}
_STAINS = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
"""Haematoxylin and eosin as Macenko's reference slide has them: other than `stains` falls back to."""
_TILE = 256
_OD = float(np.log(10))
"""The densities of `skin` and `tumours` are decadic."""


@dataclass(frozen=True)
class DrawnSlide:
    """One simulated section: `pixels` uint8 height x width x 3; `lesion`, `tissue`: the truth, by pixel."""

    pixels: npt.NDArray[np.uint8]
    lesion: Mask
    tissue: Mask
    um_per_pixel: float


def draw(kind: str, rng: np.random.Generator) -> bytes:
    """A tiled pyramidal TIFF of a section .77 mm wide and .58 mm high, at 1 micrometre a pixel."""
    return as_slide(draw_section(kind, rng))


def draw_section(
    kind: str,
    rng: np.random.Generator,
    *,
    width_um: float = 768,
    height_um: float = 576,
    um_per_pixel: float = 1.0,
) -> DrawnSlide:
    """One section with one tumour of `kind`, a key of `KINDS`, in a part of it. `InputError` for no key."""
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}")
    section = healthy_skin(rng, width_um, height_um, um_per_pixel)
    KINDS[kind](section, rng)
    pixels = _light(section, rng)
    return DrawnSlide(pixels, section.lesion & section.tissue, section.tissue, um_per_pixel)


def as_slide(slide: DrawnSlide) -> bytes:
    """The bytes of a tiled pyramidal TIFF, deflated, that states its micrometres a pixel."""
    try:
        import tifffile
    except ImportError:
        raise MissingExtra("simulating slides", "slides") from None
    file = io.BytesIO()
    level, scale = slide.pixels, slide.um_per_pixel
    with tifffile.TiffWriter(file) as writer:
        while True:
            writer.write(
                level, tile=(_TILE, _TILE), photometric="rgb", compression="adobe_deflate",
                compressionargs={"level": 1}, resolution=(1e4 / scale, 1e4 / scale),
                resolutionunit="CENTIMETER", metadata=None, software=False,
                subfiletype=int(level is not slide.pixels),
            )  # fmt: skip
            if min(level.shape[:2]) < 2 * _TILE:
                return file.getvalue()
            height, width = (n // 2 * 2 for n in level.shape[:2])
            quads = level[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
            level, scale = quads.mean((1, 3)).round().astype(np.uint8), scale * 2


def _light(section: Section, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """White light through the stained section, blurred by the lens and counted with noise."""
    stains = _STAINS * np.exp(rng.normal(0, 0.08, _STAINS.shape))
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    strength = np.exp(rng.normal(0, 0.2, 2)) * (1.1, 0.7)
    density = np.stack([section.haematoxylin, section.eosin], -1) * section.tissue[..., None]
    lamp = np.array([244, 243, 245]) + rng.normal(0, 3, 3)
    light = lamp * np.exp(-_OD * (density * strength) @ stains)
    light = ndimage.gaussian_filter(light, (0.6 / section.um_per_pixel, 0.6 / section.um_per_pixel, 0))
    pixels: npt.NDArray[np.uint8] = np.clip(light + rng.normal(0, 2, light.shape), 0, 255).astype(np.uint8)
    return pixels
