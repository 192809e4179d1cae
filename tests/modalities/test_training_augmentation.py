"""Does a turned training image show nothing but the lesion, and as much of it as fits?"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from modalities.training.augmentation import _recoloured, augment, inscribed
from modalities.training.config import TrainingConfig

Pixels = npt.NDArray[np.uint8]

ROTATION = TrainingConfig(modality="clinical", augmentation="rotation", size=64, test_size=64)
sides = st.floats(1, 5000)
angles = st.floats(-720, 720)


class Chosen:
    """Stands for a generator: draws what it is told."""

    def __init__(self, uniform: Any, flip: bool = False) -> None:
        self.drawn, self.flip = uniform, flip

    def uniform(self, *_: object) -> Any:
        return self.drawn

    def random(self) -> float:
        return 0.1 if self.flip else 0.9


def turned(pixels: Pixels, degrees: float, *, flip: bool = False, size: int = 64) -> Pixels:
    config = ROTATION.model_copy(update={"size": size})
    rng: Any = Chosen(degrees, flip)
    return augment(pixels, rng, config)


def grain(height: int, width: int, low: int = 0, high: int = 256) -> Pixels:
    return np.random.default_rng(0).integers(low, high, (height, width, 3)).astype(np.uint8)


# the largest upright rectangle


@pytest.mark.parametrize(
    ("size", "degrees", "wanted"),
    [
        ((300, 200), 0, (300, 200)),
        ((300, 200), 180, (300, 200)),
        ((300, 200), 90, (200, 300)),
        ((300, 200), 270, (200, 300)),
        ((100, 100), 45, (50 * math.sqrt(2), 50 * math.sqrt(2))),
        ((100, 40), 45, (20 * math.sqrt(2), 20 * math.sqrt(2))),
        ((40, 100), 135, (20 * math.sqrt(2), 20 * math.sqrt(2))),
        ((100, 100), 30, (200 / (1 + math.sqrt(3)), 200 / (1 + math.sqrt(3)))),
        ((100, 10), 30, (10, 10 / math.sqrt(3))),
    ],
)
def test_a_rectangle_turned_by_this_much_holds_this_one(
    size: tuple[int, int], degrees: float, wanted: tuple[float, float]
) -> None:
    assert inscribed(*size, degrees) == pytest.approx(wanted)


@settings(deadline=None, max_examples=300)
@given(sides, sides, angles)
def test_its_corners_turned_back_lie_inside_the_image(width: float, height: float, degrees: float) -> None:
    w, h = inscribed(width, height, degrees)
    assert w > 0
    assert h > 0
    angle = math.radians(degrees)
    for x, y in ((w / 2, h / 2), (w / 2, -h / 2), (-w / 2, h / 2), (-w / 2, -h / 2)):
        back = (
            x * math.cos(angle) + y * math.sin(angle),
            y * math.cos(angle) - x * math.sin(angle),
        )
        assert abs(back[0]) <= width / 2 * (1 + 1e-6)
        assert abs(back[1]) <= height / 2 * (1 + 1e-6)


@settings(deadline=None, max_examples=300)
@given(sides, sides, angles)
def test_no_upright_rectangle_of_any_aspect_is_larger(width: float, height: float, degrees: float) -> None:
    angle = math.radians(degrees)
    sine, cosine = abs(math.sin(angle)), abs(math.cos(angle))
    # Of each aspect, the largest that the turned image holds: its corners reach furthest along the sides.
    longest = 2 * max(width, height) / min(width, height)
    aspect = np.geomspace(1 / longest, longest, 40_001)
    tall = np.minimum(width / (aspect * cosine + sine), height / (aspect * sine + cosine))
    best = float((aspect * tall * tall).max())
    w, h = inscribed(width, height, degrees)
    assert best * (1 - 1e-6) <= w * h <= best * (1 + 1e-3)


@settings(deadline=None)
@given(sides, sides, angles)
def test_a_half_turn_changes_nothing_and_a_quarter_swaps_the_sides(
    width: float, height: float, degrees: float
) -> None:
    found = inscribed(width, height, degrees)
    assert inscribed(width, height, degrees + 180) == pytest.approx(found, rel=1e-5)
    assert inscribed(height, width, degrees + 90) == pytest.approx(found, rel=1e-5)


# what the net is shown


@pytest.mark.parametrize("shape", [(64, 64), (64, 96), (97, 64), (64, 640), (150, 150)], ids=str)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_no_corner_behind_the_image_is_shown_at_any_angle(shape: tuple[int, int], size: int) -> None:
    white = np.full((*shape, 3), 255, np.uint8)
    for degrees in np.arange(0, 360, 3.7):
        assert turned(white, float(degrees), size=size).min() == 255, degrees


def test_no_border_of_the_image_is_lost_beyond_two_pixels() -> None:
    """The share of a ramp that is seen is the share that the inscribed rectangle has."""
    ramp = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    for degrees in range(0, 91, 9):
        seen = turned(np.dstack([ramp] * 3), degrees, size=100)
        w, h = inscribed(200, 100, degrees)
        angle = math.radians(degrees)
        reach = abs(w * math.cos(angle)) + abs(h * math.sin(angle))
        assert abs(int(seen.max()) - int(seen.min()) - reach) < 8, degrees


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("flip", [False, True])
def test_a_quarter_turn_of_a_square_keeps_every_pixel(quarters: int, flip: bool) -> None:
    pixels = grain(64, 64)
    wanted = np.rot90(pixels, quarters)
    assert np.array_equal(turned(pixels, 90.0 * quarters, flip=flip), wanted[::-1] if flip else wanted)


@settings(deadline=None, max_examples=40)
@given(st.integers(64, 200), st.integers(64, 200), st.integers(32, 96), st.integers(0, 2**32))
def test_any_turned_image_is_a_square_of_bytes_that_the_generator_alone_decides(
    height: int, width: int, size: int, seed: int
) -> None:
    config = ROTATION.model_copy(update={"size": size})
    pixels = grain(height, width)
    before = pixels.copy()
    made = augment(pixels, np.random.default_rng(seed), config)
    assert (made.shape, made.dtype) == ((size, size, 3), np.uint8)
    assert np.array_equal(made, augment(pixels, np.random.default_rng(seed), config))
    assert not np.array_equal(made, augment(pixels, np.random.default_rng(seed + 1), config))
    assert np.array_equal(pixels, before)


def test_angles_of_the_whole_circle_occur_and_half_of_the_images_are_flipped() -> None:
    """A red mark above the middle tells the angle, a green one to its right whether the image is flipped."""
    pixels = np.zeros((96, 96, 3), np.uint8)
    pixels[26:34, 44:52, 0] = 255
    pixels[44:52, 62:70, 1] = 255
    y, x = np.mgrid[-31.5:32.5, -31.5:32.5]
    eighths: set[tuple[bool, int]] = set()
    flipped = 0
    for seed in range(300):
        made = augment(pixels, np.random.default_rng(seed), ROTATION).astype(float)
        red, green = (complex((x * made[..., c]).sum(), (y * made[..., c]).sum()) for c in (0, 1))
        mirrored = bool((red.conjugate() * green).imag < 0)
        flipped += mirrored
        eighths.add((mirrored, int(np.angle(red) // (math.pi / 4))))
    assert len(eighths) == 16
    assert 120 < flipped < 180


# light and colour


def enhanced(image: Image.Image, brightness: float, contrast: float, saturation: float) -> Pixels:
    image = ImageEnhance.Brightness(image).enhance(brightness)
    image = ImageEnhance.Contrast(image).enhance(contrast)
    return np.asarray(ImageEnhance.Color(image).enhance(saturation))


@settings(deadline=None, max_examples=60)
@given(*[st.floats(0.8, 1.2)] * 3)
def test_one_matrix_does_what_pillow_does_in_three_steps(
    brightness: float, contrast: float, saturation: float
) -> None:
    image = Image.fromarray(grain(40, 40, 60, 160))
    rng: Any = Chosen((brightness, contrast, saturation))
    difference = np.asarray(_recoloured(image, rng)).astype(int) - enhanced(
        image, brightness, contrast, saturation
    )
    # Pillow cuts off the fractions of three steps, of which two are then scaled by up to 1.2.
    assert difference.min() >= -2
    assert difference.max() <= 5


def test_with_every_factor_1_no_colour_changes() -> None:
    image = Image.fromarray(grain(40, 40))
    rng: Any = Chosen((1.0, 1.0, 1.0))
    assert np.array_equal(np.asarray(_recoloured(image, rng)), np.asarray(image))
