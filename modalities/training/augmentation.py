"""How is a training image varied? Every draw comes from the generator that is given."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from modalities.cnn.preprocess import ByteImage
from modalities.training.config import TrainingConfig

GREY = np.array([[0.299, 0.587, 0.114]])
"""Weights of R, G and B in luma (ITU-R BT.601), as Pillow converts to grey."""


TOUCHES = 1e-6
"""Pixels between two lines that are one line but for rounding."""


def augment(pixels: ByteImage, rng: np.random.Generator, config: TrainingConfig) -> ByteImage:
    """uint8 H x W x 3 to uint8 size x size x 3, varied as `config.augmentation` says."""
    image = Image.fromarray(pixels)
    if config.augmentation == "rotation":
        return _rotated(image, rng, config.size)
    left, top, w, h = random_crop(image.height, image.width, rng, config.min_crop_area)
    side = config.size
    image = image.resize((side, side), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
    square = np.rot90(np.asarray(_recoloured(image, rng)), int(rng.integers(4)))
    return square[:, ::-1] if rng.random() < 0.5 else square


def _rotated(image: Image.Image, rng: np.random.Generator, side: int) -> ByteImage:
    """Esteva et al. 2017: any angle, the largest upright rectangle inscribed, vertical flip, resized."""
    angle = float(rng.uniform(0, 360))
    width, height = inscribed(image.width, image.height, angle)
    turned = image.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    left, top = (turned.width - width) / 2, (turned.height - height) / 2
    # Half a pixel inwards, and cut before it is resized: both interpolations would else mix in what lies
    # around. After a quarter turn nothing does.
    margin = 0.5 if min(left, top) > TOUCHES else -TOUCHES
    inner = turned.crop(
        (
            math.ceil(left + margin),
            math.ceil(top + margin),
            math.floor(left + width - margin),
            math.floor(top + height - margin),
        )
    )
    square = np.asarray(inner.resize((side, side), Image.Resampling.BILINEAR))
    return square[::-1] if rng.random() < 0.5 else square


def inscribed(width: float, height: float, degrees: float) -> tuple[float, float]:
    """Width and height of the largest upright rectangle inside a width x height one turned by an angle.

    Either two opposite corners of the inner rectangle lie on the long sides of the outer one, which is
    half constrained, or all four lie on its sides; both cases follow from the equations of the sides.
    """
    turned = math.radians(degrees)
    sine, cosine = abs(math.sin(turned)), abs(math.cos(turned))
    longer, shorter = max(width, height), min(width, height)
    if shorter <= 2 * sine * cosine * longer or abs(sine - cosine) < 1e-9:
        half = shorter / 2
        flat, steep = half / sine, half / cosine
        return (flat, steep) if width >= height else (steep, flat)
    twice = cosine * cosine - sine * sine
    return (width * cosine - height * sine) / twice, (height * cosine - width * sine) / twice


def _recoloured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Brightness, contrast (about the mean luma) and saturation, each times .8 to 1.2, in one matrix."""
    brightness, contrast, saturation = rng.uniform(0.8, 1.2, 3)
    mean = float(np.asarray(image.convert("L")).mean()) * brightness
    mix = saturation * np.eye(3) + (1 - saturation) * np.repeat(GREY, 3, axis=0)
    rows = np.hstack([brightness * contrast * mix, np.full((3, 1), (1 - contrast) * mean)])
    return image.convert("RGB", tuple(rows.ravel().tolist()))


def random_crop(
    height: int, width: int, rng: np.random.Generator, min_area: float
) -> tuple[float, float, float, float]:
    """Left, top, width and height of a crop of min_area to 1 of the image and aspect 3/4 to 4/3."""
    for _ in range(10):
        area = height * width * rng.uniform(min_area, 1)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = math.sqrt(area * aspect), math.sqrt(area / aspect)
        if w <= width and h <= height:
            return float(rng.uniform(0, width - w)), float(rng.uniform(0, height - h)), w, h
    side = min(height, width)
    return (width - side) / 2, (height - side) / 2, float(side), float(side)
