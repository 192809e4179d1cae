"""Which pixels of a whole-slide image become tiles? Runs in the worker; needs the extra `slides`.

OpenSlide reads; only the squares that are asked for are decoded, from the pyramid level that fits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import openslide
from PIL import Image

from core.errors import CorruptImage, ImageTooLarge, UnsupportedFormat, UnsupportedPixels
from modalities.histopathology.tissue import choose_tiles, tissue_mask

VENDORS = {
    "aperio": "Aperio SVS",
    "dicom": "DICOM VL Whole Slide Microscopy",
    "generic-tiff": "tiled TIFF",
    "hamamatsu": "Hamamatsu NDPI",
    "leica": "Leica SCN",
    "philips": "Philips TIFF",
    "trestle": "Trestle TIFF",
    "ventana": "Ventana BIF",
}
"""What is read, by OpenSlide's names: formats of one file, and DICOM, whose levels lie in one folder."""

_LEAST_UM, _MOST_UM = 0.05, 10.0
_COARSER = 1.25
_TISSUE_UM = 8.0
_BLOCK = 2048


@dataclass(frozen=True)
class Asked:
    """What is wanted of a slide: `side` pixels a tile at `um_per_pixel`, `most` tiles, and how many pixels
    may be decoded to find the tissue, `most_overview`.
    """

    side: int
    um_per_pixel: float
    most: int
    most_overview: int


@dataclass(frozen=True)
class Tiles:
    """`pixels`: uint8, tiles x side x side x 3; `notes`: what was done."""

    pixels: npt.NDArray[np.uint8]
    notes: tuple[str, ...]


def read_tiles(path: str, asked: Asked) -> Tiles:
    """The tiles of the slide at `path`.

    Raises `UnsupportedFormat` (no slide, or one of a format of many files), `UnsupportedPixels` (the
    resolution is not given or too coarse), `EmptyInput` (no tissue), `ImageTooLarge` (no small pyramid level
    to find tissue on) and `CorruptImage`.
    """
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor is None or vendor.partition("-vm")[0] not in VENDORS or "-vm" in vendor:
        raise UnsupportedFormat(
            f"file is no whole-slide image that is read here ({', '.join(VENDORS.values())}); "
            "save it as a tiled pyramidal TIFF"
        )
    try:
        with openslide.OpenSlide(path) as slide:
            return _tiles(slide, asked, VENDORS[vendor])
    except openslide.OpenSlideError:  # its texts quote the file
        raise CorruptImage("slide is damaged or cut short; export it again") from None


def _tiles(slide: openslide.OpenSlide, asked: Asked, vendor: str) -> Tiles:
    scale = _um_per_pixel(slide)
    if max(scale) > asked.um_per_pixel * _COARSER:
        raise UnsupportedPixels(
            f"slide is scanned at {max(scale):.2f} micrometres a pixel; "
            f"{asked.um_per_pixel:g} or finer is needed"
        )
    overview, shrink = _overview(slide, scale, asked.most_overview)
    span = tuple(asked.side * asked.um_per_pixel / s for s in scale)  # of a tile, in pixels of level 0
    mask = tissue_mask(overview)
    tiles, candidates = choose_tiles(mask, (span[1] / shrink[1], span[0] / shrink[0]), asked.most)
    level = slide.get_best_level_for_downsample(asked.um_per_pixel / max(scale) * (1 + 1e-6))
    down = tuple(
        whole / part for whole, part in zip(slide.dimensions, slide.level_dimensions[level], strict=True)
    )
    size = tuple(max(1, round(s / d)) for s, d in zip(span, down, strict=True))
    see_through = False
    pixels = np.empty((len(tiles), asked.side, asked.side, 3), np.uint8)
    for place, tile in enumerate(tiles):
        corner = (round(tile.column * span[0]), round(tile.row * span[1]))
        region = slide.read_region(corner, level, (size[0], size[1]))
        see_through |= not _is_opaque(region)
        pixels[place] = np.asarray(_on_white(region).resize((asked.side, asked.side), Image.Resampling.BOX))
    notes = [
        f"{vendor}, {scale[0]:.3f} x {scale[1]:.3f} micrometres a pixel: {len(tiles)} of {candidates} tiles "
        f"with tissue were read, {asked.side * asked.um_per_pixel:g} micrometres wide, "
        f"at {asked.um_per_pixel:g} a pixel"
    ]
    if see_through:
        notes.append("parts of the tiles that were not scanned were taken as clear glass")
    if slide.color_profile is not None:
        notes.append("the file's colour profile was not applied")
    return Tiles(pixels, tuple(notes))


def _um_per_pixel(slide: openslide.OpenSlide) -> tuple[float, float]:
    """Across and down. `UnsupportedPixels` where the file does not say, or says what no scanner does."""
    said = slide.properties
    given = [said.get(f"openslide.mpp-{axis}") for axis in "xy"]
    if None in given and said.get("tiff.ResolutionUnit") == "inch":
        given = [_from_inch(said.get(f"tiff.{axis}Resolution")) for axis in "XY"]
    if given[0] is None or given[1] is None:
        raise UnsupportedPixels(
            "slide does not say how many micrometres a pixel spans; export it with its resolution"
        )
    try:
        across, down = float(given[0]), float(given[1])
    except ValueError:
        across = down = math.nan
    if not all(_LEAST_UM <= s <= _MOST_UM for s in (across, down)):
        raise UnsupportedPixels(
            f"slide's micrometres a pixel are not between {_LEAST_UM} and {_MOST_UM:g}, as a microscope's "
            "are; export it with its resolution"
        )
    return across, down


def _from_inch(pixels: str | None) -> str | None:
    try:
        return None if pixels is None else str(25400 / float(pixels))
    except (ValueError, ZeroDivisionError):
        return "nan"


def _overview(
    slide: openslide.OpenSlide, scale: tuple[float, float], most: int
) -> tuple[npt.NDArray[np.uint8], tuple[float, float]]:
    """The whole slide, small, and how many pixels of level 0 one of its pixels spans, across and down.

    The coarsest level that is no coarser than `_TISSUE_UM` micrometres a pixel is read block by block, each
    shrunk to about that, so that memory stays small.
    """
    level = slide.get_best_level_for_downsample(max(1.0, _TISSUE_UM / max(scale)) * (1 + 1e-6))
    width, height = slide.level_dimensions[level]
    if width * height > most:
        raise ImageTooLarge(
            f"slide has no pyramid level below {most} pixels to find tissue on; save it as a pyramidal TIFF"
        )
    down = slide.dimensions[0] / width, slide.dimensions[1] / height
    step = max(1, int(_TISSUE_UM / (max(scale) * max(down)) + 1e-6))
    rows = []
    for top in range(0, height, _BLOCK * step):
        row = []
        for left in range(0, width, _BLOCK * step):
            wide, high = min(_BLOCK * step, width - left), min(_BLOCK * step, height - top)
            row.append(_shrunk(slide, level, (left, top), (wide, high), down, step))
        rows.append(np.concatenate(row, 1))
    pixels = np.concatenate(rows)
    return pixels, (slide.dimensions[0] / (width / step), slide.dimensions[1] / (height / step))


def _shrunk(
    slide: openslide.OpenSlide,
    level: int,
    corner: tuple[int, int],
    size: tuple[int, int],
    down: tuple[float, float],
    step: int,
) -> npt.NDArray[np.uint8]:
    """One block of a level, by strips of at most `_BLOCK` squared pixels, each `step`-th of its size."""
    strips = []
    across = max(step, _BLOCK * _BLOCK // size[0] // step * step)
    for top in range(0, size[1], across):
        high = min(across, size[1] - top)
        at = round(corner[0] * down[0]), round((corner[1] + top) * down[1])
        strips.append(np.asarray(_on_white(slide.read_region(at, level, (size[0], high))).reduce(step)))
    return np.concatenate(strips)


def _on_white(region: Image.Image) -> Image.Image:
    if _is_opaque(region):
        return region.convert("RGB")
    white = Image.new("RGBA", region.size, "white")
    white.alpha_composite(region)
    return white.convert("RGB")


def _is_opaque(region: Image.Image) -> bool:
    return bool(np.asarray(region.getchannel("A")).min() == 255)
