"""How do decoded pixels become the tensor that a net was trained for? The answer travels with the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ContractError
from modalities.images import Square

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
"""Mean and std that take [0, 1] to [-1, 1]: what Inception was trained with."""

FloatImage = npt.NDArray[np.float32]
ByteImage = npt.NDArray[np.uint8]
Planes = npt.NDArray[np.uint8]
"""An image as 3 x H x W: what both the gate and the tensor are made from fastest."""


@dataclass(frozen=True)
class Preprocessing:
    """Resize the short side to `resize` pixels, cut the central square of `size`, scale and normalise.

    `mean` and `std` are per RGB channel, of values in [0, 1]. Resizing is bilinear with antialiasing
    (Pillow), as torchvision's evaluation presets do it.
    """

    size: int
    resize: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        if not 32 <= self.size <= self.resize <= 2048:
            raise ContractError(
                f"preprocessing needs 32 <= size <= resize <= 2048, not {self.size} and {self.resize}"
            )

    def square(self, pixels: ByteImage) -> ByteImage:
        """uint8 H x W x 3, any size, to uint8 size x size x 3."""
        return np.ascontiguousarray(self._cut(pixels)[..., :3])

    def planes(self, pixels: ByteImage) -> Planes:
        """The same as three planes, uint8 3 x size x size, several times as fast."""
        return planes_of(self._cut(pixels))

    def _cut(self, pixels: ByteImage) -> ByteImage:
        from PIL import Image

        seen = self.seen
        return np.frombuffer(seen.cut(Image.fromarray(pixels)), np.uint8).reshape(seen.shape)

    @property
    def seen(self) -> Square:
        """The square of a picture that the net sees."""
        return Square(self.resize, self.size)

    def normalise(self, square: ByteImage) -> FloatImage:
        """uint8 H x W x 3, or planes, to float32 3 x H x W, each channel (value / 255 - mean) / std."""
        scale = np.float32(1) / (np.float32(255) * np.asarray(self.std, np.float32))
        shift = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        tensor = planes_of(square).astype(np.float32)
        for plane, factor, less in zip(tensor, scale, shift, strict=True):
            plane *= factor
            plane -= less
        return tensor

    def __call__(self, pixels: ByteImage) -> FloatImage:
        """uint8 H x W x 3 to float32 3 x size x size."""
        return self.normalise(self.planes(pixels))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Preprocessing:
        """Raises `ContractError` for unknown or missing entries."""
        try:
            red, green, blue = map(float, raw["mean"])
            std = tuple(map(float, raw["std"]))
            finite = np.isfinite([red, green, blue, *std]).all()
            if set(raw) != {"size", "resize", "mean", "std"} or not finite or len(std) != 3 or min(std) <= 0:
                raise ContractError("preprocessing holds size, resize, mean and std > 0, and nothing else")
            return cls(int(raw["size"]), int(raw["resize"]), (red, green, blue), std)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ContractError(f"preprocessing cannot be read ({type(error).__name__})") from error


def planes_of(image: ByteImage) -> Planes:
    """uint8 H x W x 3, or x 4 whose last byte means nothing, to uint8 3 x H x W; planes are given back.

    H and W are at least 5.
    """
    if image.shape[0] == 3:
        return image
    height, width, bytes_a_pixel = image.shape
    planes = np.empty((3, height, width), np.uint8)
    if bytes_a_pixel == 4 and image.flags.c_contiguous:
        # Four bytes read as one number: shifts run over whole vectors, steps of four bytes do not.
        words = image.view("<u4")[..., 0]
        for channel, plane in enumerate(planes):
            np.copyto(plane, words >> 8 * channel if channel else words, casting="unsafe")
    else:
        np.copyto(planes, image[..., :3].transpose(2, 0, 1))
    return planes


def default_preprocessing(architecture: str, size: int | None = None) -> Preprocessing:
    """What the architecture's published weights were trained with, at `size` pixels where given."""
    if architecture in ("inception_v3", "googlenet"):
        side = size or (299 if architecture == "inception_v3" else 224)
        return Preprocessing(side, round(side / 0.875), HALF, HALF)
    side = size or 224
    return Preprocessing(side, round(side / 0.875))
