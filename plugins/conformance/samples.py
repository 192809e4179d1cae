"""Which pictures does the kit show to a model? Drawn ones, alike at every call, or a plugin's own files."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.case import ImageInput
from core.errors import PluginContractError
from plugins.specs import ModalitySpec

_ORIENTATION = 0x0112  # the EXIF tag
_TURNED = 6  # stored a quarter turn anticlockwise; to be shown turned back


def sample_images(modality: str, number: int = 2) -> list[ImageInput]:
    """Drawn 256 x 256 PNG images, different from each other and the same at every call."""
    return [ImageInput(modality=modality, data=_png(drawn_pixels(seed))) for seed in range(number)]


def samples_of(spec: ModalitySpec) -> list[ImageInput]:
    """The plugin's own files where it gives any, at least two that differ; else drawn pictures.

    Raises `PluginContractError` where what it gives is something else.
    """
    if spec.samples is None:
        return sample_images(spec.name)
    given = list(spec.samples())
    if len(set(given)) < 2 or not all(isinstance(data, bytes) for data in given):
        raise PluginContractError("samples must give the bytes of two files at least that differ")
    return [ImageInput(modality=spec.name, data=data) for data in given]


def upright_and_turned(modality: str) -> tuple[ImageInput, ImageInput]:
    """One picture, 320 wide and 256 high, stored upright, and stored on its side with an EXIF orientation."""
    pixels = drawn_pixels(3, width=320)
    pixels[:80, :120] //= 2  # a corner that tells the sides apart
    exif = Image.Exif()
    exif[_ORIENTATION] = _TURNED
    turned = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(turned, "PNG", exif=exif)
    return ImageInput(modality=modality, data=_png(pixels)), ImageInput(
        modality=modality, data=turned.getvalue()
    )


def shallow_and_deep(modality: str) -> tuple[ImageInput, ImageInput]:
    """One grey picture with 8 bits a pixel and with 16; the same light in both."""
    grey = np.asarray(drawn_pixels(4).mean(axis=2), np.uint8)
    deep = grey.astype(np.uint16) * 257
    return ImageInput(modality=modality, data=_png(grey)), ImageInput(modality=modality, data=_png(deep))


def drawn_pixels(seed: int, width: int = 256) -> npt.NDArray[np.uint8]:
    """A drawn lesion, uint8 256 x `width` x 3, the same at every call."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:256j, -1 : 1 : width * 1j]
    spot = np.exp(-((x - 0.1 * seed) ** 2 + y**2) * max(1, 6 - 2 * seed))[..., None]
    skin = np.array([214, 168 - 12 * seed, 144]) + rng.normal(0, 6, (256, width, 1))
    pixels: npt.NDArray[np.uint8] = np.clip(skin - spot * np.array([120, 110, 90]), 0, 255).astype(np.uint8)
    return pixels


def _png(pixels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
