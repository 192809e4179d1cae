"""What does a caller get of a file, and what may it ask for? Without Pillow, which only decoding needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError, UnsupportedPixels


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """An upright picture, and what had to be done to it.

    `pixels`: uint8, height x width x 3, sRGB order red, green, blue, 0 to 255, read-only. `format`: the
    file's format, one of BMP, JPEG, PNG, TIFF, WEBP. `notes`: sentences for the reader of a result, for
    instance that transparent pixels were laid on white; never anything out of the file's metadata.

    Raises `UnsupportedPixels` for an array of another type or shape. A writable array is copied.
    """

    pixels: npt.NDArray[np.uint8]
    format: str
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pixels = self.pixels
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
            raise UnsupportedPixels(
                f"pixels are {pixels.dtype} {pixels.shape}; give uint8, height x width x 3"
            )
        if pixels.flags.writeable:
            copy = pixels.copy()
            copy.setflags(write=False)
            object.__setattr__(self, "pixels", copy)


def check_target(target_side: int | None) -> None:
    """`InputError` unless `target_side` is absent or a whole number of pixels from 1 up."""
    if target_side is not None and (not isinstance(target_side, int) or target_side < 1):
        raise InputError(f"target_side is {target_side!r}; give a whole number of pixels above zero")
