"""How do decoded pixels become the tensor that a net was trained for? The answer travels with the weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.errors import ContractError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF = (0.5, 0.5, 0.5)
"""Mean and std that take [0, 1] to [-1, 1]: what Inception was trained with."""

FloatImage = npt.NDArray[np.float32]
ByteImage = npt.NDArray[np.uint8]


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
        height, width = pixels.shape[:2]
        scale = self.resize / min(height, width)
        new = (max(self.resize, round(width * scale)), max(self.resize, round(height * scale)))
        image = Image.fromarray(pixels).resize(new, Image.Resampling.BILINEAR)
        left, top = (new[0] - self.size) // 2, (new[1] - self.size) // 2
        return np.asarray(image.crop((left, top, left + self.size, top + self.size)))

    def normalise(self, square: ByteImage) -> FloatImage:
        """uint8 H x W x 3 to float32 3 x H x W, each channel (value / 255 - mean) / std."""
        scale = np.float32(1) / (np.float32(255) * np.asarray(self.std, np.float32))
        shift = np.asarray(self.mean, np.float32) / np.asarray(self.std, np.float32)
        return np.ascontiguousarray((square * scale - shift).transpose(2, 0, 1))

    def __call__(self, pixels: ByteImage) -> FloatImage:
        """uint8 H x W x 3 to float32 3 x size x size."""
        return self.normalise(self.square(pixels))

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


def default_preprocessing(architecture: str, size: int | None = None) -> Preprocessing:
    """What the architecture's published weights were trained with, at `size` pixels where given."""
    if architecture in ("inception_v3", "googlenet"):
        side = size or (299 if architecture == "inception_v3" else 224)
        return Preprocessing(side, round(side / 0.875), HALF, HALF)
    side = size or 224
    return Preprocessing(side, round(side / 0.875))
