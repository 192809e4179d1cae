"""Which planes does a TIFF, PNG or BMP of a confocal microscope hold? Runs in the process that may die."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageSequence, UnidentifiedImageError

from core.errors import CorruptImage, ImageTooLarge, UnsupportedFormat, UnsupportedPixels
from modalities.confocal.fields import is_mosaic, unsaid
from modalities.images.limits import Limits
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, Stack

CHANNEL = "reflectance"
LARGEST_PIXEL_UM = 20.0
"""A larger one is the resolution of a printer that an export wrote by habit, not of a microscope."""

_FORMATS = ("TIFF", "PNG", "BMP")
_DEEP = ("I;16", "I;16B", "I;16L")
_GREY = ("L", "P", "RGB", *_DEEP)
_DESCRIPTION, _X, _Y, _UNIT, _PHOTOMETRIC, _BITS = 270, 282, 283, 296, 262, 258
_WHITE_IS_ZERO = 0
_UM = {"um": 1.0, "µm": 1.0, "\\u00b5m": 1.0, "micron": 1.0, "microns": 1.0, "nm": 1e-3, "mm": 1e3}
_INCH_UM, _CM_UM = 25_400.0, 10_000.0


def parse_picture(data: bytes, limits: Limits) -> Stack:
    """Pages of one size as planes along `depth`, in the order of the file; one page is one plane.

    No TIFF says how deep a plane lies below the surface, so positions are `None`. Grey stored as RGB or by a
    grey palette is read as grey. Raises `UnsupportedFormat` for another format, `UnsupportedPixels` for
    colour and for other than 8 or 16 bits, `CorruptImage` for pages that differ in size or depth of bits,
    and what `check_room` raises.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise ImageTooLarge(f"file has more than the {limits.max_pixels} pixels that are read") from None
    except UnidentifiedImageError:
        raise UnsupportedFormat(
            "file is no DICOM, TIFF, PNG or BMP; export the stack as TIFF of several pages"
        ) from None
    pages = getattr(image, "n_frames", 1)
    check_room(pages, image.height, image.width, 1, limits)
    size, mode, tags = image.size, image.mode, _tags(image)
    planes = np.empty((pages, image.height, image.width), np.float32)
    turned = False
    for plane, page in zip(planes, ImageSequence.Iterator(image), strict=True):
        if page.size != size or page.mode != mode:
            raise CorruptImage("pages differ in size or bits; export the planes of one stack alone")
        values, white_is_zero = _grey(page)
        plane[:] = values
        turned |= white_is_zero
    bits = 16 if mode in _DEEP else 8
    spacing = _spacing(tags)
    axis: Any = "depth" if pages > 1 else "none"
    notes = ["stored with white as its lowest number; turned round"] if turned else []
    notes += unsaid(planes.shape, axis, depth=False, spacing=spacing)
    if is_mosaic(planes.shape, spacing) and pages > 1:
        raise UnsupportedFormat("a stack of mosaics is not read; export one mosaic, or one field's stack")
    return Stack(
        values=planes[..., None],
        axis=axis,
        positions=(None,) * pages if pages > 1 else (),
        spacing_um=spacing,
        channels=(Channel(CHANNEL),),
        bits=bits,
        notes=tuple(notes),
    )


def _tags(image: Any) -> dict[int, Any]:
    found = getattr(image, "tag_v2", {})
    return {tag: found[tag] for tag in (_DESCRIPTION, _X, _Y, _UNIT) if tag in found}


def _grey(page: Any) -> tuple[npt.NDArray[Any], bool]:
    """Grey levels, and whether they had to be turned round, which Pillow does for 8 bits alone."""
    if page.mode not in _GREY:
        raise UnsupportedPixels(
            f"pixels are of mode {page.mode}; a confocal plane is grey of 8 or 16 bits: export it so"
        )
    tags = getattr(page, "tag_v2", {})
    if page.mode == "L" and tags.get(_BITS, (8,))[0] != 8:
        raise UnsupportedPixels("file has fewer than 8 bits a pixel; export it with 8 or 16")
    if page.mode in _DEEP:
        values = np.asarray(page)
        white_is_zero = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
        return (65535 - values if white_is_zero else values), white_is_zero
    if page.mode == "L":
        return np.asarray(page), tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    colours = np.asarray(page.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise UnsupportedPixels("picture is in colour; reflectance is grey: export the grey planes")
    return colours[..., 0], False


def _spacing(tags: dict[int, Any]) -> tuple[float, float] | None:
    """Micrometres between rows and between columns, by OME, ImageJ or the resolution of the page.

    `None` where none of them says it, or says what no microscope has.
    """
    text = str(tags.get(_DESCRIPTION, ""))[:65_536]
    with suppress(UnicodeError):  # OME writes UTF-8 where TIFF knows ASCII alone
        text = text.encode("latin-1").decode("utf-8")
    try:
        found = _ome(text) if "<OME" in text else _resolution(tags, text)
    except (ArithmeticError, KeyError, TypeError, ValueError):
        return None
    if found is None or not all(0 < step <= LARGEST_PIXEL_UM for step in found):
        return None
    return found


def _ome(text: str) -> tuple[float, float] | None:
    """PhysicalSizeY and PhysicalSizeX of the first Pixels element; micrometres unless it says otherwise."""
    element = re.search(r"<Pixels\b[^>]*>", text)
    if element is None:
        return None
    found = dict(re.findall(r'\b(PhysicalSize[XY](?:Unit)?)="([^"]*)"', element.group()))
    return tuple(  # type: ignore[return-value]
        float(found[f"PhysicalSize{axis}"]) * _UM[found.get(f"PhysicalSize{axis}Unit", "um")] for axis in "YX"
    )


def _resolution(tags: dict[int, Any], text: str) -> tuple[float, float] | None:
    """Pixels in a unit, which ImageJ names in its description and TIFF as 2 for inches, 3 for centimetres."""
    if _X not in tags or _Y not in tags:
        return None
    named = re.search(r"^unit=(\S+)$", text, re.MULTILINE)
    if text.startswith("ImageJ="):
        unit = _UM[named.group(1)] if named else None
    else:
        unit = {2: _INCH_UM, 3: _CM_UM}.get(int(tags.get(_UNIT, 2)))
    return None if unit is None else (unit / float(tags[_Y]), unit / float(tags[_X]))
