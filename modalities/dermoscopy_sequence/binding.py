"""How do dated pictures of one lesion become one file? As pages of a TIFF, each with its date."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin

from core.errors import InputError

DATE_TIME = 306
FORM = "%Y:%m:%d %H:%M:%S"
"""TIFF 6.0, tag DateTime."""


def bind(pictures: Sequence[tuple[npt.NDArray[np.uint8], datetime | None]]) -> bytes:
    """The bytes of a multi-page TIFF, deflated without loss: a page a picture, in order.

    Pictures are uint8 height x width x 3, all of one size, such as `modalities.images.decode` gives. A date
    that is `None` leaves the tag out: it stays unknown. Raises `InputError` for fewer than two pictures or
    other shapes.
    """
    shapes = {pixels.shape for pixels, _ in pictures}
    if len(pictures) < 2 or len(shapes) > 1:
        raise InputError("a sequence is two pictures at least, all of one size; resize them to the first's")
    pages, tags = [], []
    for pixels, date in pictures:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise InputError("a picture of a sequence is uint8, height x width x 3")
        pages.append(Image.fromarray(pixels))
        about = TiffImagePlugin.ImageFileDirectory_v2()
        if date is not None:
            about[DATE_TIME] = date.strftime(FORM)
        tags.append(about)
    file = io.BytesIO()
    for page, about in zip(pages, tags, strict=True):
        page.encoderinfo = {"tiffinfo": about}
    pages[0].save(
        file, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate",
        tiffinfo=tags[0],
    )  # fmt: skip
    return file.getvalue()
