"""Which images are no skin at all? Photographs, textures, pages of text, noise and blank frames, offline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

SIDE = 288
"""Pixels a side of what is drawn."""
CROPS = 8
"""Squares cut from each photograph, of a third of its short side to all of it."""


@dataclass(frozen=True)
class Foreign:
    """One image, uint8 H x W x 3. Images of one `source` are not independent of one another."""

    kind: str
    source: str
    pixels: Pixels


def foreign_images(drawn: int = 40, seed: int = 0) -> Iterator[Foreign]:
    """`drawn` images of each kind that is drawn, and crops of the photographs that the libraries here bring.

    scikit-learn brings two photographs; scikit-image, where it is installed, brings more and textures.
    """
    rng = np.random.default_rng(seed)
    for source, pixels in _photographs():
        for crop in _crops(pixels, rng):
            yield Foreign("photograph", source, crop)
    for k in range(drawn):
        yield Foreign("noise", f"noise-{k}", _noise(rng, coloured=k % 2 == 0))
        yield Foreign("blank", f"blank-{k}", _blank(rng, skin=k % 2 == 0))
        yield Foreign("text", f"text-{k}", _page(rng))


def _photographs() -> Iterator[tuple[str, Pixels]]:
    from sklearn.datasets import load_sample_images

    yield from zip(("china", "flower"), load_sample_images().images, strict=True)
    spec = find_spec("skimage")
    folder = Path(spec.origin).parent / "data" if spec is not None and spec.origin else None
    for path in sorted(folder.iterdir()) if folder is not None and folder.is_dir() else ():
        if path.suffix in (".png", ".jpg") and path.stem not in ("phantom", "motorcycle_right"):
            from PIL import Image

            with Image.open(path) as image:
                pixels = np.asarray(image.convert("RGB"))
            if min(pixels.shape[:2]) >= 64:
                yield path.stem, pixels


def _crops(pixels: Pixels, rng: np.random.Generator) -> Iterator[Pixels]:
    height, width = pixels.shape[:2]
    for _ in range(CROPS):
        side = int(rng.integers(max(64, min(height, width) // 3), min(height, width), endpoint=True))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        yield np.ascontiguousarray(pixels[top : top + side, left : left + side])


def _noise(rng: np.random.Generator, *, coloured: bool) -> Pixels:
    if not coloured:
        return rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    values = rng.normal(rng.uniform(60, 200, 3), rng.uniform(10, 60), (SIDE, SIDE, 3))
    return np.clip(values, 0, 255).astype(np.uint8)


def _blank(rng: np.random.Generator, *, skin: bool) -> Pixels:
    colour = np.array([200, 160, 140]) + rng.integers(-40, 40, 3) if skin else rng.integers(0, 256, 3)
    fading = np.linspace(0, rng.uniform(0, 40), SIDE)[:, None, None]
    return np.clip(colour + fading + np.zeros((SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def _page(rng: np.random.Generator) -> Pixels:
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (400, 400), tuple(int(v) for v in rng.integers(200, 256, 3)))
    pen = ImageDraw.Draw(page)
    for y in range(10, 390, int(rng.integers(12, 24))):
        words = "".join(rng.choice(list("abcdefghij klmnop qrstu"), 60))
        pen.text((10, y), words, fill=(20, 20, 20))
    return np.asarray(page)
