"""Pictures whose hair, ink, ruler, corners, light and lesion are known, drawn without our own code."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

Pixels = npt.NDArray[np.uint8]
SKIN, LESION = (214, 168, 146), (118, 72, 52)


def skin(height: int = 240, width: int = 300, seed: int = 0) -> Pixels:
    """Skin with the grain of a camera and a round lesion in the middle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    inside = np.clip(45 - np.hypot(x - width / 2, y - height / 2), 0, 3)[..., None] / 3
    pixels = np.array(SKIN) + (np.array(LESION) - np.array(SKIN)) * inside
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def lesion() -> Pixels:
    return skin()


@pytest.fixture
def lesion_mask() -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[:240, :300]
    return np.asarray(np.hypot(x - 150, y - 120) < 43.5)


@pytest.fixture
def over() -> Callable[..., tuple[Pixels, npt.NDArray[np.bool_]]]:
    """Draws lines of one colour on a picture; gives the picture and where they are."""

    def draw(
        pixels: Pixels,
        lines: list[tuple[float, float, float, float]],
        colour: tuple[int, int, int],
        width: int,
    ) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        image, mask = Image.fromarray(pixels), Image.new("1", pixels.shape[1::-1])
        for line in lines:
            ImageDraw.Draw(image).line(line, fill=colour, width=width)
            ImageDraw.Draw(mask).line(line, fill=1, width=width)
        return np.asarray(image), np.asarray(mask)

    return draw
