"""How do decoded pixels become the tensor that a net was trained for? The answer travels with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ContractError
from modalities.images import Square, SquareImage, decode, decode_square
from modalities.images.decoder import Source
from plugins.specs import PreprocessorSpec

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

    `steps` run, in order, on the whole picture once its short side is scaled down to `resize`, before the
    square is cut. Training reads its pictures by `prepare` too, so a step meets the same pixels there.
    """

    size: int
    resize: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    steps: tuple[PreprocessorSpec, ...] = ()

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

    def prepare(self, pixels: ByteImage) -> ByteImage:
        """uint8 H x W x 3, its short side scaled down to `resize`, after the steps; as given without steps.

        Raises what `modalities.stages.stepped` raises.
        """
        if not self.steps:
            return pixels
        from modalities.stages import stepped

        return stepped(shrunk(pixels, self.resize), self.steps)

    def read(self, source: Source) -> SquareImage:
        """What the net sees of a file from anywhere. Raises what `modalities.images.decode` raises.

        Without steps the square is cut in the decoder's process. Else the whole picture comes here, and
        `prepare` may raise too.
        """
        if not self.steps:
            return decode_square(source, self.seen)
        whole = decode(source, target_side=self.seen.target_side)
        names = ", ".join(step.name for step in self.steps)
        return SquareImage(self._cut(whole.pixels), (*whole.notes, f"preprocessing steps: {names}"))

    def _cut(self, pixels: ByteImage) -> ByteImage:
        from PIL import Image

        seen = self.seen
        picture = Image.fromarray(self.prepare(pixels))
        return np.frombuffer(seen.cut(picture), np.uint8).reshape(seen.shape)

    @cached_property
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
        """JSON-ready; steps, by name and version, stand there only where there are some."""
        found: dict[str, Any] = {"size": self.size, "resize": self.resize, "mean": self.mean, "std": self.std}
        if self.steps:
            found["steps"] = [{"name": s.name, "version": s.version} for s in self.steps]
        return found

    @classmethod
    def from_dict(
        cls, raw: dict[str, Any], known: Mapping[str, PreprocessorSpec] | None = None
    ) -> Preprocessing:
        """Reads `to_dict`; steps are taken from the `known` ones or, without, from those that ship.

        Raises `ContractError` for unknown or missing entries, and a step that is not known or has another
        version here.
        """
        try:
            red, green, blue = map(float, raw["mean"])
            std = tuple(map(float, raw["std"]))
            finite = np.isfinite([red, green, blue, *std]).all()
            entries = set(raw) - {"steps"}
            if entries != {"size", "resize", "mean", "std"} or not finite or len(std) != 3 or min(std) <= 0:
                raise ContractError(
                    "preprocessing holds size, resize, mean and std > 0, maybe steps, and nothing else"
                )
            steps = _steps(raw["steps"], known) if "steps" in raw else ()
            return cls(int(raw["size"]), int(raw["resize"]), (red, green, blue), std, steps)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ContractError(f"preprocessing cannot be read ({type(error).__name__})") from error


def _steps(
    raw: list[dict[str, Any]], known: Mapping[str, PreprocessorSpec] | None
) -> tuple[PreprocessorSpec, ...]:
    from modalities.stages import step_of

    found = []
    for entry in raw:
        step = step_of(str(entry["name"]), known)
        if step.version != entry["version"]:
            raise ContractError(
                f"preprocessing step {step.name!r} has version {step.version} here, and the net was trained "
                f"behind version {entry['version']!r}: use the release that has it, or train the net again"
            )
        found.append(step)
    return tuple(found)


def shrunk(pixels: ByteImage, side: int) -> ByteImage:
    """uint8 H x W x 3, its short side scaled down to `side` pixels; a smaller picture as it is."""
    from PIL import Image

    height, width = pixels.shape[:2]
    if min(height, width) <= side:
        return pixels
    scale = side / min(height, width)
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))


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
