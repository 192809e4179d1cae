"""Do pixels become the tensor that the net was trained for?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.errors import ContractError
from modalities.cnn.preprocess import (
    HALF,
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    default_preprocessing,
)


def test_an_image_of_the_right_short_side_is_cut_in_its_middle_and_not_resampled() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 160, 3), np.uint8)
    square = Preprocessing(64, 80).square(pixels)
    assert np.array_equal(square, pixels[8:72, 48:112])


def test_an_odd_margin_leaves_its_extra_pixel_at_the_right_and_below() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (81, 70, 3), np.uint8)
    square = Preprocessing(65, 70).square(pixels)
    assert np.array_equal(square, pixels[8:73, 2:67])


@pytest.mark.parametrize("turned", [False, True])
def test_a_landscape_is_scaled_by_its_short_side_and_cut_in_its_middle(turned: bool) -> None:
    # 200 x 400 becomes 100 x 200; the middle 50 x 50 of it shows columns 150 to 250 and rows 50 to 150.
    ramp = np.linspace(0, 255, 400)[None, :, None] * np.ones((200, 1, 3))
    pixels = np.rint(ramp).astype(np.uint8)
    square = Preprocessing(50, 100).square(pixels.transpose(1, 0, 2) if turned else pixels)
    seen = square.transpose(1, 0, 2) if turned else square
    wanted = 255 * (150 + 2 * np.arange(50) + 0.5) / 399
    assert np.abs(seen[:, :, 0].astype(float) - wanted).max() < 1.0


def test_resizing_a_square_is_torchvision_s_on_a_pillow_image() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8)
    preset = torchvision.transforms.Compose(
        [torchvision.transforms.Resize(100), torchvision.transforms.CenterCrop(80)]
    )
    wanted = np.asarray(preset(Image.fromarray(pixels)))
    assert np.array_equal(Preprocessing(80, 100).square(pixels), wanted)


def test_values_are_scaled_and_normalised_by_channel() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[0, 0] = (255, 51, 0)
    tensor = Preprocessing(32, 32, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1))(pixels)
    assert tensor.dtype == np.float32
    assert tensor.flags.c_contiguous
    assert tensor[:, 0, 0] == pytest.approx([(1 - 0.5) / 0.25, (0.2 - 0.4) / 0.2, -3.0], abs=1e-5)
    assert tensor[:, 5, 5] == pytest.approx([-2.0, -2.0, -3.0], abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(64, 400), width=st.integers(64, 400), size=st.integers(32, 96), more=st.integers(0, 40)
)
def test_any_shape_becomes_a_square_of_the_size(height: int, width: int, size: int, more: int) -> None:
    pixels = np.full((height, width, 3), 7, np.uint8)
    square = Preprocessing(size, size + more).square(pixels)
    assert square.shape == (size, size, 3)
    assert square.dtype == np.uint8
    assert (square == 7).all()


def test_the_most_extreme_aspect_that_the_decoder_lets_in_works() -> None:
    assert Preprocessing(224, 256).square(np.zeros((64, 1280, 3), np.uint8)).shape == (224, 224, 3)


def test_pixels_are_not_changed(drawn: Callable[..., Any]) -> None:
    pixels = drawn("benign:nevus", 0)
    before = pixels.copy()
    pixels.setflags(write=False)
    Preprocessing(64, 72)(pixels)
    assert np.array_equal(pixels, before)


def test_it_is_the_same_after_a_walk_through_json() -> None:
    made = Preprocessing(224, 256, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert Preprocessing.from_dict(json.loads(json.dumps(made.to_dict()))) == made


GOOD: dict[str, Any] = {"size": 224, "resize": 256, "mean": [0.5] * 3, "std": [0.5] * 3}


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {k: v for k, v in GOOD.items() if k != "mean"},
        {**GOOD, "interpolation": "bicubic"},
        {**GOOD, "mean": [0.5, 0.5]},
        {**GOOD, "mean": [0.5] * 4},
        {**GOOD, "mean": 0.5},
        {**GOOD, "mean": ["a", "b", "c"]},
        {**GOOD, "mean": [float("nan")] * 3},
        {**GOOD, "std": [0.5, 0.0, 0.5]},
        {**GOOD, "std": [0.5, -1.0, 0.5]},
        {**GOOD, "std": [float("inf")] * 3},
        {**GOOD, "std": [0.5] * 2},
        {**GOOD, "std": None},
        {**GOOD, "size": None},
        {**GOOD, "size": "large"},
        {**GOOD, "size": float("inf")},
        {**GOOD, "size": 10**400},
        {**GOOD, "size": 16},
        {**GOOD, "size": 300},
        {**GOOD, "resize": 4096},
        [],
        None,
        "size",
    ],
    ids=repr,
)
def test_what_is_no_preprocessing_is_a_contract_error(raw: Any) -> None:
    with pytest.raises(ContractError):
        Preprocessing.from_dict(raw)


@pytest.mark.parametrize(
    ("architecture", "size", "wanted"),
    [
        ("mobilenet_v2", None, Preprocessing(224, 256, IMAGENET_MEAN, IMAGENET_STD)),
        ("resnet18", 64, Preprocessing(64, 73, IMAGENET_MEAN, IMAGENET_STD)),
        ("inception_v3", None, Preprocessing(299, 342, HALF, HALF)),
        ("googlenet", None, Preprocessing(224, 256, HALF, HALF)),
    ],
)
def test_the_default_is_what_the_published_weights_were_trained_with(
    architecture: str, size: int | None, wanted: Preprocessing
) -> None:
    assert default_preprocessing(architecture, size) == wanted
