"""Does the gate stop what is no photograph of skin, and let pass what is like the training images?"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from core.errors import ContractError
from modalities.cnn.gate import FEATURES, MARGIN, Gate, describe
from modalities.cnn.preprocess import Preprocessing

LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")
PREPROCESSING = Preprocessing(64, 72)


def squares(drawn: Callable[..., Any], seeds: range) -> list[Any]:
    return [PREPROCESSING.square(drawn(LABELS[s % 3], s)) for s in seeds]


@pytest.fixture(scope="module")
def gate(drawn: Callable[..., Any]) -> Gate:
    training = [describe(s) for s in squares(drawn, range(60))]
    return Gate.fit(training, [describe(s) for s in squares(drawn, range(60, 80))])


def test_it_accepts_images_like_those_of_the_training(gate: Gate, drawn: Callable[..., Any]) -> None:
    new = squares(drawn, range(1000, 1060))
    assert [k for k, s in enumerate(new) if gate.concerns(s)] == []


def test_it_accepts_every_training_and_validation_image(gate: Gate, drawn: Callable[..., Any]) -> None:
    assert all(gate.concerns(s) == () for s in squares(drawn, range(60, 80)))


@pytest.mark.parametrize("value", [0, 64, 128, 200, 255])
def test_it_refuses_a_blank_frame(value: int, gate: Gate) -> None:
    assert gate.concerns(np.full((64, 64, 3), value, np.uint8))


def test_it_refuses_plain_skin_without_any_detail(gate: Gate) -> None:
    skin = np.full((64, 64, 3), (218, 172, 148), np.uint8)
    assert any("blurred" in reason for reason in gate.concerns(skin))


@pytest.mark.parametrize("seed", range(3))
def test_it_refuses_noise(seed: int, gate: Gate) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    assert any("unlike" in reason for reason in gate.concerns(noise))


def test_it_refuses_a_page_of_text(gate: Gate) -> None:
    page = np.full((64, 64, 3), 255, np.uint8)
    page[::6, 5:60] = 0
    assert gate.concerns(page)


@pytest.mark.parametrize("seed", range(1000, 1010))
def test_it_refuses_a_heavily_blurred_image_that_it_took_when_sharp(
    seed: int, gate: Gate, drawn: Callable[..., Any]
) -> None:
    sharp = Image.fromarray(drawn(LABELS[seed % 3], seed))
    blurred = np.asarray(sharp.filter(ImageFilter.GaussianBlur(6)))
    assert gate.concerns(PREPROCESSING.square(np.asarray(sharp))) == ()
    assert any("blurred" in reason for reason in gate.concerns(PREPROCESSING.square(blurred)))


def test_it_refuses_the_same_image_in_false_colours(gate: Gate, drawn: Callable[..., Any]) -> None:
    square = squares(drawn, range(1000, 1001))[0]
    assert gate.concerns(np.ascontiguousarray(255 - square))


def test_the_statistics_of_a_plain_frame_are_those_worked_out_by_hand() -> None:
    found = dict(zip(FEATURES, describe(np.full((32, 32, 3), (255, 51, 0), np.uint8)), strict=True))
    assert found["red"] == pytest.approx(1)
    assert found["green"] == pytest.approx(0.2)
    assert found["blue"] == pytest.approx(0)
    assert found["contrast"] == pytest.approx(0, abs=1e-12)
    assert found["log_sharpness"] == pytest.approx(np.log(1e-8))
    assert found["saturation"] == pytest.approx(1)
    assert (found["dark"], found["bright"]) == (0, 0)


def plainly(square: Any) -> Any:
    """The eight statistics by their definitions, in float64; grey is whole, so that no limit is missed."""
    rgb = square.astype(np.float64) / 255
    whole = square.astype(np.int64) @ np.array([299, 587, 114])
    grey = whole / 255_000
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return np.array(
        [
            *rgb.mean(axis=(0, 1)),
            grey.std(),
            np.log(laplacian.var() + 1e-8),
            (rgb.max(axis=2) - rgb.min(axis=2)).mean(),
            (whole < 15_300).mean(),
            (whole > 247_350).mean(),
        ]
    )


SHADES = st.sampled_from([(0, 255), (0, 40), (230, 255), (120, 123), (255, 255)])


@given(st.integers(5, 90), st.integers(5, 90), SHADES, st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=120, deadline=None)
def test_the_statistics_are_their_definitions_within_a_millionth(
    height: int, width: int, shades: tuple[int, int], grain: int, seed: int
) -> None:
    low, high = shades
    random = np.random.default_rng(seed)
    coarse = random.integers(low, high + 1, (-(-height // grain), -(-width // grain), 3), np.uint8)
    square = coarse.repeat(grain, axis=0).repeat(grain, axis=1)[:height, :width]
    wanted = plainly(square)
    planes = np.ascontiguousarray(square.transpose(2, 0, 1))
    for image in (square, planes):
        np.testing.assert_allclose(describe(image), wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [224, 299, 600])
def test_the_statistics_of_a_large_square_are_their_definitions_too(size: int) -> None:
    random = np.random.default_rng(size)
    smooth = Image.fromarray(random.integers(60, 240, (12, 12, 3), np.uint8)).resize((size, size))
    square = np.asarray(smooth)
    np.testing.assert_allclose(describe(square), plainly(square), rtol=1e-6, atol=1e-6)


def test_dark_and_bright_pixels_are_counted() -> None:
    square = np.zeros((40, 40, 3), np.uint8)
    square[:10] = 255
    found = dict(zip(FEATURES, describe(square), strict=True))
    assert (found["dark"], found["bright"]) == (0.75, 0.25)


def test_the_limit_is_the_largest_validation_distance_with_its_margin(drawn: Callable[..., Any]) -> None:
    training = [describe(s) for s in squares(drawn, range(60))]
    held = [describe(s) for s in squares(drawn, range(60, 70))]
    gate = Gate.fit(training, held)
    distances = [float(np.sqrt((h - gate.mean) @ gate.precision @ (h - gate.mean))) for h in held]
    assert gate.limit == pytest.approx(MARGIN * max(distances))


def test_it_can_be_fitted_on_two_images(drawn: Callable[..., Any]) -> None:
    few = [describe(s) for s in squares(drawn, range(2))]
    gate = Gate.fit(few, few)
    assert gate.concerns(squares(drawn, range(1))[0]) == ()


def test_it_is_the_same_after_a_walk_through_json(gate: Gate, drawn: Callable[..., Any]) -> None:
    again = Gate.from_dict(json.loads(json.dumps(gate.to_dict())))
    assert again.to_dict() == gate.to_dict()
    for square in (*squares(drawn, range(1000, 1003)), np.zeros((64, 64, 3), np.uint8)):
        assert again.concerns(square) == gate.concerns(square)


@pytest.mark.parametrize(
    "replaced",
    [
        {"mean": None},
        {"mean": [0.0] * 7},
        {"mean": ["a"] * 8},
        {"precision": [[0.0] * 8] * 7},
        {"precision": [[float("nan")] * 8] * 8},
        {"limit": float("inf")},
        {"limit": "far"},
        {"least_sharpness": None},
        {"features": list(FEATURES[::-1])},
        {"features": []},
    ],
    ids=repr,
)
def test_what_is_no_gate_is_a_contract_error(replaced: dict[str, Any], gate: Gate) -> None:
    with pytest.raises(ContractError):
        Gate.from_dict({**gate.to_dict(), **replaced})


@pytest.mark.parametrize("missing", ["features", "mean", "precision", "limit", "least_sharpness"])
def test_a_gate_without_an_entry_is_a_contract_error(missing: str, gate: Gate) -> None:
    with pytest.raises(ContractError):
        Gate.from_dict({k: v for k, v in gate.to_dict().items() if k != missing})
