"""Is every draw of the training what its docstring says, and the same at every call?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.errors import TrainingError
from modalities.cnn.preprocess import default_preprocessing
from modalities.training.augmentation import augment, random_crop
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights, epoch_order, make_batch, read_all

groups = st.lists(st.sampled_from("abcde"), min_size=1, max_size=60)
CONFIG = TrainingConfig(modality="dermoscopy", size=48, test_size=56)


def group_weights(names: list[str], power: float) -> dict[str, float]:
    weights = draw_weights(names, power)
    return {g: float(weights[[n == g for n in names]].sum()) for g in set(names)}


@given(groups, st.floats(0, 1))
def test_weights_sum_to_one_and_are_equal_within_a_group(names: list[str], power: float) -> None:
    weights = draw_weights(names, power)
    assert weights.sum() == pytest.approx(1)
    assert all(len(set(weights[[n == g for n in names]].tolist())) == 1 for g in set(names))


@given(groups, st.floats(0, 1))
def test_a_group_of_n_images_is_drawn_with_n_to_the_power(names: list[str], power: float) -> None:
    found = group_weights(names, power)
    wanted = {g: names.count(g) ** power for g in found}
    total = sum(wanted.values())
    assert found == pytest.approx({g: w / total for g, w in wanted.items()})


@given(groups)
def test_power_1_draws_images_as_they_come_and_power_0_groups_alike(names: list[str]) -> None:
    assert draw_weights(names, 1) == pytest.approx(np.full(len(names), 1 / len(names)))
    assert set(np.round(list(group_weights(names, 0).values()), 9)) == {round(1 / len(set(names)), 9)}


@given(groups, st.floats(0, 1), st.randoms())
def test_the_order_of_the_images_does_not_change_a_weight(
    names: list[str], power: float, random: Any
) -> None:
    order = list(range(len(names)))
    random.shuffle(order)
    moved = draw_weights([names[k] for k in order], power)
    assert moved == pytest.approx(draw_weights(names, power)[order], rel=1e-12)


@settings(deadline=None)
@given(groups, st.floats(0, 1), st.integers(0, 2**32 - 1), st.integers(0, 50))
def test_an_image_of_weight_w_comes_floor_or_ceil_of_w_n_times(
    names: list[str], power: float, seed: int, epoch: int
) -> None:
    weights = draw_weights(names, power)
    n = len(names)
    counts = np.bincount(epoch_order(weights, seed, epoch), minlength=n)
    assert counts.sum() == n
    assert len(counts) == n
    for count, weight in zip(counts.tolist(), weights.tolist(), strict=True):
        assert math.floor(weight * n - 1e-9) <= count <= math.ceil(weight * n + 1e-9)


def test_with_equal_weights_every_image_comes_once() -> None:
    order = epoch_order(draw_weights(["a"] * 101, 0.5), 3, 4)
    assert sorted(order.tolist()) == list(range(101))
    assert order.tolist() != list(range(101))


def test_an_epoch_depends_on_seed_and_number_alone() -> None:
    weights = draw_weights(["a"] * 40, 0.5)
    orders = {(s, e): tuple(epoch_order(weights, s, e).tolist()) for s in range(3) for e in range(3)}
    assert len(set(orders.values())) == 9
    assert all(tuple(epoch_order(weights, s, e).tolist()) == o for (s, e), o in orders.items())


def test_over_many_epochs_images_come_in_proportion_to_their_weight() -> None:
    weights = draw_weights(["a"] * 30 + ["b"] * 10, 0.5)
    counts = sum(np.bincount(epoch_order(weights, 0, e), minlength=40) for e in range(400))
    assert np.abs(counts / 400 / 40 / weights - 1).max() < 0.1


# augmentation


@settings(deadline=None, max_examples=40)
@given(
    st.integers(64, 200), st.integers(64, 200), st.integers(32, 96), st.integers(0, 2**32), st.floats(0.05, 1)
)
def test_any_image_becomes_a_square_of_bytes(
    height: int, width: int, size: int, seed: int, least: float
) -> None:
    config = CONFIG.model_copy(update={"size": size, "min_crop_area": least})
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    before = pixels.copy()
    made = augment(pixels, np.random.default_rng(seed), config)
    assert (made.shape, made.dtype) == ((size, size, 3), np.uint8)
    assert np.array_equal(made, augment(pixels, np.random.default_rng(seed), config))
    assert np.array_equal(pixels, before)


@settings(deadline=None)
@given(st.integers(64, 4000), st.integers(64, 4000), st.floats(0.01, 1), st.integers(0, 2**32))
def test_a_crop_lies_inside_the_image(height: int, width: int, least: float, seed: int) -> None:
    left, top, w, h = random_crop(height, width, np.random.default_rng(seed), least)
    assert left >= 0
    assert top >= 0
    assert w > 0
    assert h > 0
    assert np.float32(left + w) <= width
    assert np.float32(top + h) <= height


def test_a_crop_keeps_the_smallest_area_and_the_aspect() -> None:
    for seed in range(300):
        _, _, w, h = random_crop(300, 300, np.random.default_rng(seed), 0.5)
        assert w * h >= 0.5 * 300 * 300 - 1e-6
        assert 3 / 4 - 1e-9 <= w / h <= 4 / 3 + 1e-9


def test_an_image_that_no_crop_of_this_area_fits_gives_its_middle_square() -> None:
    assert random_crop(64, 1280, np.random.default_rng(0), 0.9) == (608, 0, 64, 64)


def test_all_eight_turns_and_flips_occur() -> None:
    config = CONFIG.model_copy(update={"min_crop_area": 1.0})
    y, x = np.mgrid[0:48, 0:48]
    pixels = np.dstack([np.where((y < 20) & (x < 12), 255, 0)] * 3).astype(np.uint8)
    seen = set()
    for seed in range(80):
        made = augment(pixels, np.random.default_rng(seed), config)[:, :, 0] > 60
        tall = made.any(axis=1).sum() > made.any(axis=0).sum()
        seen.add(
            (
                bool(tall),
                bool(made[:24].sum() > made[24:].sum()),
                bool(made[:, :24].sum() > made[:, 24:].sum()),
            )
        )
    assert len(seen) == 8


def test_a_batch_depends_on_seed_epoch_and_place_alone(drawn: Callable[..., Any]) -> None:
    pixels = [drawn("benign:nevus", k) for k in range(6)]
    targets = np.arange(6, dtype=np.int64)
    preprocessing = default_preprocessing("mobilenet_v2", 48)

    def batch(chosen: list[int], place: int, epoch: int = 1) -> Any:
        places = np.arange(place, place + len(chosen))
        return make_batch(pixels, targets, np.array(chosen), places, epoch, CONFIG, preprocessing)

    whole = batch([3, 1, 4, 0], 8)
    assert whole.pixels.shape == (4, 3, 48, 48)
    assert whole.pixels.dtype == np.float32
    assert whole.targets.tolist() == [3, 1, 4, 0]
    assert np.array_equal(batch([3, 1, 4, 0], 8).pixels, whole.pixels)
    assert np.array_equal(batch([4, 0], 10).pixels, whole.pixels[2:])
    assert not np.array_equal(batch([3, 1, 4, 0], 9).pixels, whole.pixels)
    assert not np.array_equal(batch([3, 1, 4, 0], 8, 2).pixels, whole.pixels)


# reading


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def test_images_are_kept_with_their_short_side_scaled_down(lesions: Callable[..., Any]) -> None:
    made = lesions(2, side=200)
    pixels, kept, bad = read_all(made, 50)
    assert [p.shape for p in pixels] == [(50, 50, 3)] * 6
    assert kept == made
    assert bad == []


def test_an_image_that_is_small_already_keeps_its_pixels(
    lesions: Callable[..., Any], drawn: Callable[..., Any]
) -> None:
    pixels, _, _ = read_all(lesions(1, side=96), 200)
    assert np.array_equal(pixels[0], drawn("benign:nevus", 0, 96, 96))


def test_one_percent_of_bad_images_is_skipped_and_listed(lesions: Callable[..., Any]) -> None:
    made = lesions(34, side=64)[:100]
    damage(made[40].path)
    pixels, kept, bad = read_all(made, 32)
    assert bad == [made[40].image]
    assert kept == made[:40] + made[41:]
    assert len(pixels) == 99


def test_more_than_one_percent_of_bad_images_stops_naming_one(lesions: Callable[..., Any]) -> None:
    made = lesions(34, side=64)[:100]
    damage(made[40].path)
    made[70].path.unlink()
    with pytest.raises(TrainingError, match=r"2 of 100 images cannot be read, I40dermoscopy for one"):
        read_all(made, 32)


def test_no_images_are_no_error(lesions: Callable[..., Any]) -> None:
    assert read_all([], 32) == ([], [], [])


def test_the_order_of_the_images_is_kept(lesions: Callable[..., Any]) -> None:
    made = lesions(4, side=64)
    _, kept, _ = read_all(made[::-1], 32)
    assert kept == made[::-1]
    assert replace(made[0], image="x") not in kept


# the recipe


@pytest.mark.parametrize("seconds", [1.0, 500.0])
def test_how_often_is_saved_changes_no_fingerprint(seconds: float) -> None:
    assert CONFIG.model_copy(update={"checkpoint_seconds": seconds}).fingerprint() == CONFIG.fingerprint()


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"epochs": 8}, {"weights": "x"}, {"modality": "y"}, {"precision": "bf16"}]
)
def test_everything_else_does(changed: dict[str, object]) -> None:
    assert CONFIG.model_copy(update=changed).fingerprint() != CONFIG.fingerprint()


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch": 1},
        {"size": 16},
        {"learning_rate": 0},
        {"seed": -1},
        {"seed": 2**32},
        {"precision": "fp8"},
        {"label_smoothing": 1.0},
        {"colour": "red"},
    ],
    ids=repr,
)
def test_a_recipe_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TrainingConfig(modality="dermoscopy", **wrong)
