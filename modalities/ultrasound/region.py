"""Where on a scanner's screen is the B-mode picture, and how large is one of its pixels?

Region Calibration of the Ultrasound Image, PS3.3, C.8.5.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import CorruptImage, UnsupportedPixels

_TWO_DIMENSIONS, _TISSUE, _CENTIMETRES = 1, 1, 3
_UM_PER_CM = 1e4


@dataclass(frozen=True)
class Region:
    """A rectangle of the screen, in pixels, ends excluded, and what is known of it.

    `spacing_um`: micrometres between rows and between columns. `frequency_mhz`: of the transducer. `None`
    where the file does not say.
    """

    top: int
    bottom: int
    left: int
    right: int
    spacing_um: tuple[float, float] | None
    frequency_mhz: float | None
    notes: tuple[str, ...]


def region_of(dataset: Any) -> Region:
    """The largest two-dimensional tissue region of a pydicom data set; the whole screen where none is given.

    Raises `UnsupportedPixels` where the regions hold no two-dimensional picture of tissue, and
    `CorruptImage` for a region outside the picture.
    """
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    items: Sequence[Any] = dataset.get("SequenceOfUltrasoundRegions") or ()
    if not items:
        return _whole(dataset, rows, columns)
    pictures = [
        item
        for item in items
        if item.get("RegionSpatialFormat") == _TWO_DIMENSIONS and item.get("RegionDataType") == _TISSUE
    ]
    if not pictures:
        raise UnsupportedPixels("file has no B-mode region, only traces, Doppler or text; export the B-mode")
    boxes = [_box(item, rows, columns) for item in pictures]
    best = max(range(len(boxes)), key=lambda k: _area(boxes[k]))
    top, bottom, left, right = boxes[best]
    notes = []
    if len(boxes) > 1:
        notes.append(f"the file holds {len(boxes)} B-mode pictures side by side; the largest was read")
    if (top, bottom, left, right) != (0, rows, 0, columns):
        notes.append("the B-mode picture was cut from the scanner's screen by the file's region")
    spacing = _spacing(pictures[best])
    if spacing is None:
        notes.append("the file gives no physical size of a pixel")
    frequency = _number(pictures[best].get("TransducerFrequency"))
    if frequency is None:
        notes.append("the file gives no transducer frequency")
    return Region(
        top, bottom, left, right, spacing, None if frequency is None else frequency / 1e3, tuple(notes)
    )


def _whole(dataset: Any, rows: int, columns: int) -> Region:
    spacing = dataset.get("PixelSpacing")
    sizes = [_number(value) for value in spacing] if spacing is not None and len(spacing) == 2 else []
    known = (sizes[0] * 1e3, sizes[1] * 1e3) if len(sizes) == 2 and sizes[0] and sizes[1] else None
    notes = [
        "the file does not say where on the screen the picture stands; all of it was taken",
        "the file gives no transducer frequency",
        "the size of a pixel is that of Pixel Spacing, which is not calibrated by region"
        if known
        else "the file gives no physical size of a pixel",
    ]
    return Region(0, rows, 0, columns, known, None, tuple(notes))


def _box(item: Any, rows: int, columns: int) -> tuple[int, int, int, int]:
    """Top, bottom, left, right; the file's own ends are included, these are not."""
    names = ("MinY0", "MaxY1", "MinX0", "MaxX1")
    ends = [item.get(f"RegionLocation{name}") for name in names]
    if not all(isinstance(end, int) for end in ends):
        raise CorruptImage("file has an ultrasound region without its corners; export it again")
    top, bottom, left, right = ends[0], ends[1] + 1, ends[2], ends[3] + 1
    if not (0 <= top < bottom <= rows and 0 <= left < right <= columns):
        raise CorruptImage("file has an ultrasound region that lies outside its picture; export it again")
    return top, bottom, left, right


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[1] - box[0]) * (box[3] - box[2])


def _spacing(item: Any) -> tuple[float, float] | None:
    if {item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection")} != {_CENTIMETRES}:
        return None
    down, across = _number(item.get("PhysicalDeltaY")), _number(item.get("PhysicalDeltaX"))
    return None if down is None or across is None else (down * _UM_PER_CM, across * _UM_PER_CM)


def _number(value: Any) -> float | None:
    """A finite number above zero, its sign left out as that only tells a direction; else `None`."""
    try:
        number = abs(float(value))
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) and number > 0 else None
