"""Which square of a picture does a net see? Without numpy, as `pixels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import UnsupportedPixels

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Padded = npt.NDArray[np.uint8]
    """uint8 size x size x 4, as Pillow holds a picture: red, green, blue, and a byte that means nothing."""


@dataclass(frozen=True)
class Square:
    """Resize the short side to `resize` pixels and cut the central square of `size`, at most `resize`.

    Resizing is bilinear with antialiasing (Pillow).
    """

    resize: int
    size: int

    @property
    def target_side(self) -> int:
        """The short side, pixels, below which a file should not be scaled while it is decoded."""
        return 2 * self.resize

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the square as `cut` gives it: four bytes a pixel."""
        return self.size, self.size, 4

    def cut(self, image: Image.Image) -> bytes:
        """The square of an RGB picture of any size, of `shape`.

        Pillow's own four bytes a pixel: taking the fourth out costs it ten times as long.
        """
        from PIL.Image import Resampling

        width, height = image.size
        scale = self.resize / min(height, width)
        new = (max(self.resize, round(width * scale)), max(self.resize, round(height * scale)))
        left, top = (new[0] - self.size) // 2, (new[1] - self.size) // 2
        small = image.resize(new, Resampling.BILINEAR)
        cut = small.crop((left, top, left + self.size, top + self.size))
        return cut.tobytes("raw", "RGBX")


@dataclass(frozen=True, eq=False)
class SquareImage:
    """The square that was asked for, and what had to be done to the picture.

    `padded`: uint8 size x size x 4, read-only; the fourth byte means nothing. `notes`: as of `DecodedImage`.
    """

    padded: Padded
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        padded = self.padded
        if padded.dtype != "uint8" or padded.shape != (*padded.shape[:1] * 2, 4) or not padded.size:
            raise UnsupportedPixels(f"a square is {padded.dtype} {padded.shape}; give uint8, size x size x 4")
