"""Does preprocessing find the skin, take out what depth and speckle do, and leave the lesion?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from modalities.stacks import Channel, Stack
from modalities.stacks.surface import flattened, surface_rows
from modalities.ultrasound.anatomy import COLUMN_MM, KINDS, ROW_MM, Anatomy, draw_skin
from modalities.ultrasound.gain import STRONGEST, fit_gain, greys_per_decibel
from modalities.ultrasound.preprocess import MOST_VIEWS, SIDE, prepare, views
from modalities.ultrasound.simulate import Scanner, draw_frames, picture
from modalities.ultrasound.speckle import speckle_reduced, speckle_spread

Array = npt.NDArray[np.float64]
SPACING = (1e3 * ROW_MM, 1e3 * COLUMN_MM)


def stack_of(frames: npt.NDArray[np.uint8], frequency: float | None = 22.0, sized: bool = True) -> Stack:
    many = len(frames) > 1
    return Stack(
        frames.astype(np.float32)[..., None],
        "time" if many else "none",
        (None,) * len(frames) if many else (),
        SPACING if sized else None,
        (Channel("B-mode", frequency, "MHz"),),
        8,
    )


def phantom(loss: float) -> Anatomy:
    """Even tissue below gel, and two equal dark layers in it at 1 and 2.6 mm."""
    skin = draw_skin(np.random.default_rng(0))
    skin.depth[:] = skin.depth[:, :1]
    for where, echo in (
        (skin.depth > 0, 0.0),
        ((skin.depth > 1.0) & (skin.depth < 1.5), -9.0),
        ((skin.depth > 2.6) & (skin.depth < 3.1), -9.0),
    ):
        skin.put(where, echo, loss)
    return skin


@pytest.mark.parametrize("kind", KINDS)
def test_the_entry_echo_is_found_within_sixty_micrometres(kind: str) -> None:
    frames, skin, _ = draw_frames(kind, np.random.default_rng(3))
    true = (skin.depth > 0).argmax(axis=0)
    assert np.percentile(np.abs(surface_rows(frames[0].astype(np.float32)) - true), 95) <= 3


def test_the_transducers_own_membrane_is_not_the_skin() -> None:
    frames, skin, _ = draw_frames("melanoma", np.random.default_rng(3))
    plane = frames[0].astype(np.float32)
    plane[:6] = 230
    true = (skin.depth > 0).argmax(axis=0)
    assert np.percentile(np.abs(surface_rows(plane) - true), 95) <= 3


def test_a_picture_that_begins_in_skin_or_is_of_one_grey_has_its_entry_on_top() -> None:
    rng = np.random.default_rng(0)
    assert np.median(surface_rows(rng.normal(120, 5, (90, 120)).astype(np.float32))) <= 3
    assert (surface_rows(np.full((90, 120), 7, np.float32)) == 0).all()


def test_flattening_puts_the_entry_on_one_row_and_invents_nothing() -> None:
    plane = np.arange(60, dtype=np.float32)[:, None] * np.ones((1, 10), np.float32)
    rows = np.arange(10)
    flat = flattened(plane, rows, 5)
    assert flat.shape == (65, 10)
    np.testing.assert_array_equal(flat[5], rows)
    assert np.isnan(flat[:5, 0]).all()
    assert np.nanmax(flat) == 59


def test_equal_layers_are_equally_grey_at_every_depth_once_compensated() -> None:
    scanner = Scanner(gain_db_per_mm=2.0, noise_db=-60)
    plane = picture(phantom(0.15), scanner, np.random.default_rng(1)).astype(np.float32)
    flat = flattened(plane, surface_rows(plane), 0)
    gain = fit_gain([flat], 0, 8, SPACING[0], 22.0)
    depth = np.arange(len(flat)) * ROW_MM
    shallow, deep = (depth > 1.1) & (depth < 1.4), (depth > 2.7) & (depth < 3.0)
    before = flat[shallow].mean() - flat[deep].mean()
    after = gain.compensated(flat, 0)[shallow].mean() - gain.compensated(flat, 0)[deep].mean()
    true = 255 / scanner.range_db * (2 * 22 * 0.15 - 2.0) * 1.6
    assert before == pytest.approx(true, abs=8)
    assert abs(after) < 0.2 * before


@pytest.mark.parametrize("turned", [0.0, 6.0])
def test_how_far_the_scanners_gain_was_turned_up_changes_little(turned: float) -> None:
    rng = np.random.default_rng(5)
    skin = draw_skin(rng)
    KINDS["melanoma"](skin, rng)
    seen = [
        views(
            stack_of(picture(skin, Scanner(gain_db_per_mm=g, noise_db=-60), np.random.default_rng(1))[None])
        )
        for g in (3.0, turned)
    ]
    assert np.corrcoef(seen[0][:, 1].ravel(), seen[1][:, 1].ravel())[0, 1] > 0.95


def test_no_more_is_compensated_than_skin_takes_and_no_more_than_echoes_reach() -> None:
    rng = np.random.default_rng(0)
    fading = 240 - 4 * np.arange(120)[:, None] + rng.normal(0, 10, (120, 200))
    flat = np.clip(np.repeat(fading, 1, axis=1), 0, 255).astype(np.float32)
    flat = (flat + np.roll(flat, 1, 1) + np.roll(flat, 2, 1)) / 3
    gain = fit_gain([flat], 0, 8, 20.0, 5.0)
    assert any("faster than any skin" in note for note in gain.notes)
    assert gain.slope == pytest.approx(2 * STRONGEST * 5 * 0.02 * gain.greys_per_db)
    assert gain.last_row < 80


def test_without_a_frequency_the_picture_alone_decides_and_a_note_says_so() -> None:
    frames, _, _ = draw_frames("angioma", np.random.default_rng(2))
    known, unknown = prepare(stack_of(frames)), prepare(stack_of(frames, frequency=None))
    assert any("from the picture alone" in note for note in unknown.notes)
    assert not any("from the picture alone" in note for note in known.notes)


@pytest.mark.parametrize("range_db", [50.0, 70.0])
def test_speckle_tells_how_many_grey_levels_a_decibel_is(range_db: float) -> None:
    scanner = Scanner(range_db=range_db, noise_db=-60)
    plane = picture(phantom(0.1), scanner, np.random.default_rng(1)).astype(np.float32)
    assert greys_per_decibel(plane, 255) == pytest.approx(255 / range_db, rel=0.2)


def test_a_picture_without_speckle_has_no_scale_and_is_still_prepared() -> None:
    plane = np.full((1, 100, 120), 90, np.uint8)
    assert greys_per_decibel(plane[0].astype(np.float32), 255) is None
    prepared = prepare(stack_of(plane))
    assert any("no speckle" in note for note in prepared.notes)
    assert (prepared.views == 0).all()


def speckled(rng: np.random.Generator, mean: Array) -> Array:
    return mean * rng.gamma(4, 1 / 4, mean.shape)  # of four looks


def test_diffusion_reduces_speckle_and_leaves_an_edge_where_it_is() -> None:
    mean = np.ones((1, 64, 64))
    mean[:, :, 32:] = 10
    before = speckled(np.random.default_rng(0), mean)
    after = speckle_reduced(before)
    for side in (slice(4, 28), slice(36, 60)):
        spread = [float(image[..., side].std() / image[..., side].mean()) for image in (before, after)]
        assert spread[1] < spread[0] / 2.5
    profile = np.log10(after.mean(axis=(0, 1)))
    assert profile[36:60].mean() - profile[4:28].mean() == pytest.approx(1, abs=0.05)
    assert profile[34] - profile[29] > 0.85
    assert speckle_spread(after) < speckle_spread(before) / 2


def test_diffusion_neither_adds_nor_loses_intensity_nor_mixes_planes() -> None:
    image = speckled(np.random.default_rng(1), np.ones((3, 20, 30)))
    after = speckle_reduced(image, 0.5)
    np.testing.assert_allclose(after.sum(axis=(1, 2)), image.sum(axis=(1, 2)))
    np.testing.assert_allclose(speckle_reduced(image[:1], 0.5)[0], after[0])


def test_views_are_to_scale_where_the_file_gives_one() -> None:
    frames, _, _ = draw_frames("melanoma", np.random.default_rng(4))
    fine = stack_of(frames[:1])
    half = frames[:1].astype(np.float32).reshape(1, 128, 2, 120, 2).mean((2, 4))
    coarse = Stack(half[..., None], "none", (), (2 * SPACING[0], 2 * SPACING[1]), fine.channels, 8)
    together = np.corrcoef(views(fine)[0, 1].ravel(), views(coarse)[0, 1].ravel())[0, 1]
    assert together > 0.9
    wrong = Stack(half[..., None], "none", (), SPACING, fine.channels, 8)
    assert np.corrcoef(views(fine)[0, 1].ravel(), views(wrong)[0, 1].ravel())[0, 1] < together - 0.1


def test_what_lies_outside_the_picture_is_nought() -> None:
    frames, _, _ = draw_frames("melanoma", np.random.default_rng(4))
    narrow = views(stack_of(frames[:1, :, 60:180]))
    assert (narrow[..., : SIDE // 4 - 1] == 0).all()
    assert (narrow[..., SIDE // 2] != 0).any()


@pytest.mark.parametrize("number", [1, 3, 11])
def test_views_are_few_even_and_alike_at_every_call(number: int) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (number, 64, 70), dtype=np.uint8)
    first, second = views(stack_of(frames, sized=False)), views(stack_of(frames, sized=False))
    assert first.shape == (min(number, MOST_VIEWS), 2, SIDE, SIDE)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == second.tobytes()


def test_speckle_of_the_simulator_is_fully_developed() -> None:
    """Rayleigh: the envelope's mean is 1.91 of its standard deviation; 5.57 dB after log compression."""
    plane = picture(phantom(0.0), Scanner(gain_db_per_mm=0, noise_db=-90), np.random.default_rng(2))
    skin = phantom(0.0)
    inside = (skin.depth > 0.3) & (skin.depth < 0.8)
    decibels = plane[inside] / 255 * 60
    assert decibels.std() == pytest.approx(5.57, abs=0.6)
    amplitude = 10 ** (decibels / 20)
    assert amplitude.mean() / amplitude.std() == pytest.approx(1.91, abs=0.2)
