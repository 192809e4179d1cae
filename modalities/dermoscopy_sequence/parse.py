"""What does one file show of a lesion over time? Runs in the worker.

A multi-page TIFF, a page a date, each with the tag DateTime (TIFF 6.0, 306).
"""

from __future__ import annotations

import io
import math
from datetime import datetime

import numpy as np
from PIL import Image, UnidentifiedImageError

from core.errors import CorruptImage, ImageTooLarge, UnsupportedFormat, UnsupportedPixels
from modalities.images.limits import Limits
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, Stack

MOST_DATES = 64
_DATE_TIME, _X, _Y, _UNIT, _BITS = 306, 282, 283, 296, 258
_CENTIMETRE = 3
_LEAST_UM, _MOST_UM = 1.0, 200.0
_FORM = "%Y:%m:%d %H:%M:%S"
_DAY = 86_400.0


def parse(data: bytes, limits: Limits) -> Stack:
    """The pages in order of their dates: grey levels 0 to 255 of red, green and blue, axis "time".

    Positions are days since the first page that has a date; a page without one, or with one that is no date,
    has none. Pages are put in order only where all have a date. The distance of pixels is taken where all
    pages give the same in centimetres; in inches it is the size of a print.

    Raises `UnsupportedFormat` (no TIFF, one page), `UnsupportedPixels` (other than 8-bit RGB, pages of
    several sizes), `ImageTooLarge`, `ImageTooSmall` and `CorruptImage`.
    """
    try:
        file = Image.open(io.BytesIO(data), formats=("TIFF",))
    except UnidentifiedImageError:
        raise UnsupportedFormat("file is no TIFF; bind the dated pictures as pages of one TIFF") from None
    number = getattr(file, "n_frames", 1)
    if number < 2:
        raise UnsupportedFormat("file has one page; a sequence has a page a date, two at least")
    if number > MOST_DATES:
        raise ImageTooLarge(f"file has {number} pages; at most {MOST_DATES} dates are read")
    check_room(number, file.height, file.width, 3, limits)
    size = file.size
    pages, dates, spacings, notes = [], [], [], []
    for page in range(number):
        file.seek(page)
        if file.size != size:
            raise UnsupportedPixels("pages have several sizes; save them all at one size and scale")
        tags = file.tag_v2  # type: ignore[attr-defined]
        # Pillow takes the upper half of 16 bits for RGB without a word.
        if file.mode != "RGB" or set(tags.get(_BITS, ())) != {8}:
            raise UnsupportedPixels("a page is not 8-bit red, green and blue; save every page as RGB")
        dates.append(_date(tags.get(_DATE_TIME)))
        spacings.append(_spacing(tags.get(_X), tags.get(_Y), tags.get(_UNIT)))
        pages.append(np.asarray(file, np.uint8))
        if pages[-1].shape != pages[0].shape:
            raise UnsupportedPixels("pages are turned differently; save them all upright")
    order = list(range(number))
    if None not in dates:
        order.sort(key=lambda page: dates[page] or datetime.min)
        if order != list(range(number)):
            notes.append("pages were put in the order of their dates")
    else:
        notes.append(
            f"{dates.count(None)} of {number} pages have no date: their distance in time is unknown, and "
            "pages were taken in the order of the file"
        )
    known = [date for date in dates if date is not None]
    return Stack(
        values=np.stack([pages[page] for page in order]).astype(np.float32),
        axis="time",
        positions=tuple(_days(dates[page], min(known, default=None)) for page in order),
        spacing_um=spacings[0] if len(set(spacings)) == 1 else None,
        channels=(Channel("red"), Channel("green"), Channel("blue")),
        bits=8,
        notes=tuple(notes),
    )


def _date(text: object) -> datetime | None:
    try:
        return datetime.strptime(str(text).strip("\0 "), _FORM)
    except ValueError:
        return None


def _days(date: datetime | None, first: datetime | None) -> float | None:
    return None if date is None or first is None else (date - first).total_seconds() / _DAY


def _spacing(x: object, y: object, unit: object) -> tuple[float, float] | None:
    """Micrometres between rows and columns, where the page gives both per centimetre."""
    if unit != _CENTIMETRE or x is None or y is None:
        return None
    try:
        rows, columns = 1e4 / float(y), 1e4 / float(x)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise CorruptImage("a page's resolution is no number; export it again") from error
    given = rows, columns
    return given if all(math.isfinite(s) and _LEAST_UM <= s <= _MOST_UM for s in given) else None
