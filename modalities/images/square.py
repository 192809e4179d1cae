"""Which square of a picture does a net see?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.errors import UnsupportedPixels

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

    def cut(self, image: Image.Image) -> Padded:
        """The square of an RGB picture of any size, read-only.

        Pillow's own four bytes a pixel: taking the fourth out costs it ten times as long.
        """
        width, height = image.size
        scale = self.resize / min(height, width)
        new = (max(self.resize, round(width * scale)), max(self.resize, round(height * scale)))
        left, top = (new[0] - self.size) // 2, (new[1] - self.size) // 2
        small = image.resize(new, Image.Resampling.BILINEAR)
        cut = small.crop((left, top, left + self.size, top + self.size))
        return np.frombuffer(cut.tobytes("raw", "RGBX"), np.uint8).reshape(self.size, self.size, 4)


@dataclass(frozen=True, eq=False)
class SquareImage:
    """The square that was asked for, and what had to be done to the picture.

    `padded`: uint8 size x size x 4, read-only; the fourth byte means nothing. `notes`: as of `DecodedImage`.
    """

    padded: Padded
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        padded = self.padded
        if padded.dtype != np.uint8 or padded.shape != (*padded.shape[:1] * 2, 4) or not padded.size:
            raise UnsupportedPixels(f"a square is {padded.dtype} {padded.shape}; give uint8, size x size x 4")
