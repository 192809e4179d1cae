"""Which volume does a multi-page TIFF hold, and what does it say of distances?

Distances are taken from the descriptions that ImageJ and OME write, and from resolutions in pixels per
centimetre. A resolution in inches is that of a printer and left out.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, TiffImagePlugin

from core.errors import CorruptImage, UnsupportedFormat, UnsupportedPixels
from modalities.images.limits import Limits
from modalities.images.pixels import strict_pillow
from modalities.oct.volume import evenly, volume
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Stack

_MODES = {"L": 8, "RGB": 8, "I;16": 16, "I;16L": 16, "I;16B": 16, "F": None}
_DESCRIPTION, _PHOTOMETRIC, _ORIENTATION, _X, _Y, _UNIT = 270, 262, 274, 282, 283, 296
_CENTIMETRES = 3
_UM = {"um": 1.0, "micron": 1.0, "microns": 1.0, "µm": 1.0, "\\u00b5m": 1.0, "mm": 1e3, "cm": 1e4, "nm": 1e-3}
_NUMBER = r"([0-9.eE+-]{1,24})"

Distances = tuple[float | None, float | None, float | None]
"""Micrometres between rows, columns and slices."""


def parse_tiff(data: bytes, limits: Limits) -> Stack:
    """Pages of one size and type, 8 or 16 bits or floating point, black as 0.

    Raises `UnsupportedPixels` for other samples, a turned page or white as 0, `CorruptImage` for pages that
    differ or cannot be read, `UnsupportedFormat` for ImageJ's files without page directories and for channels
    or times beside slices, and what `check_room` raises.
    """
    with _strict_directories(), strict_pillow(), Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
        assert isinstance(image, TiffImagePlugin.TiffImageFile)  # noqa: S101 - by `formats`
        pages, mode, size = image.n_frames, image.mode, image.size
        check_room(pages, image.height, image.width, 3 if mode == "RGB" else 1, limits)
        _check_samples(image)
        down, across, step = _distances(image, pages)
        planes = []
        for page in range(pages):
            image.seek(page)
            if image.size != size or image.mode != mode:
                raise CorruptImage("file has pages of several sizes or types; export the volume alone")
            _check_samples(image)
            image.load()
            planes.append(np.asarray(image))
    return volume(
        np.stack(planes),
        bits=_MODES[mode],
        spacing_um=(down, across),
        positions_um=evenly(step, pages),
    )


@contextmanager
def _strict_directories() -> Iterator[None]:
    """A page directory that is cut short is only warned of by Pillow; here it is damage."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="(Truncated|Corrupt|Possibly corrupt)")
        yield


def _check_samples(image: TiffImagePlugin.TiffImageFile) -> None:
    tags = image.tag_v2
    deep_colour = image.mode == "RGB" and any(";16" in str(tile.args) for tile in image.tile)
    if image.mode not in _MODES or deep_colour:
        raise UnsupportedPixels("volume has samples that are not read; store grey of 8 or 16 bits")
    if tags.get(_PHOTOMETRIC) == 0:
        raise UnsupportedPixels("volume stores white as 0; export it with black as 0")
    if tags.get(_ORIENTATION, 1) != 1:
        raise UnsupportedPixels("volume is stored turned or mirrored; export it upright")


def _distances(image: TiffImagePlugin.TiffImageFile, pages: int) -> Distances:
    tags = image.tag_v2
    text = str(tags.get(_DESCRIPTION, ""))
    per_unit = [_ratio(tags.get(tag)) for tag in (_Y, _X)]
    if text.startswith("ImageJ="):
        return _imagej(text, per_unit, pages)
    if "<OME" in text[:4000]:
        return _ome(text, pages)
    if tags.get(_UNIT) == _CENTIMETRES:
        down, across = (None if per is None else 1e4 / per for per in per_unit)
        return down, across, None
    return None, None, None


def _imagej(text: str, per_unit: list[float | None], pages: int) -> Distances:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if fields.get("images", str(pages)) != str(pages):
        raise UnsupportedFormat("an ImageJ stack without page directories; save it as a multi-page TIFF")
    if fields.get("channels", "1") != "1" or fields.get("frames", "1") != "1":
        raise UnsupportedFormat("an ImageJ hyperstack of channels or times; save its slices alone")
    unit = _UM.get(fields.get("unit", "").lower())
    if unit is None:
        return None, None, None
    down, across = (None if per is None else unit / per for per in per_unit)
    step = _plain(fields.get("spacing"))
    return down, across, None if step is None else unit * step


def _ome(text: str, pages: int) -> Distances:
    found = dict(re.findall(r'\b(Size[CTZ]|PhysicalSize[XYZ](?:Unit)?)="([^"]{1,32})"', text[:20_000]))
    if found.get("SizeC", "1") != "1" or found.get("SizeT", "1") != "1":
        raise UnsupportedFormat("an OME-TIFF of channels or times; save its slices alone")
    if found.get("SizeZ", str(pages)) != str(pages):
        raise CorruptImage("file announces another number of slices than it has pages; export it again")

    def um(axis: str) -> float | None:
        size = _plain(found.get(f"PhysicalSize{axis}"))
        unit = _UM.get(found.get(f"PhysicalSize{axis}Unit", "um").lower().replace("&#181;", "µ"))
        return None if size is None or unit is None else size * unit

    return um("Y"), um("X"), um("Z")


def _ratio(value: object) -> float | None:
    try:
        ratio = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return ratio if 0 < ratio < float("inf") else None


def _plain(text: str | None) -> float | None:
    return float(text) if text is not None and re.fullmatch(_NUMBER, text) and _is_float(text) else None


def _is_float(text: str) -> bool:
    try:
        return 0 < float(text) < float("inf")
    except ValueError:
        return False
