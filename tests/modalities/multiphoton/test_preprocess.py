"""Are photons counted, noise levelled, depth compensated and collagen told from cells?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from core.errors import UnsupportedPixels
from modalities.multiphoton import simulate
from modalities.multiphoton.photons import gain_and_offset, stabilised
from modalities.multiphoton.preprocess import ageing_index, found, loss, views
from modalities.multiphoton.reader import FLUORESCENCE, HARMONIC, parse
from modalities.multiphoton.recipe import RECIPE
from modalities.stacks.limits import LIMITS
from modalities.stacks.stack import Channel, Stack

CHANNELS = (Channel(f"{FLUORESCENCE}, excited at 780 nm", 470.0, "nm"), Channel(HARMONIC, 390.0, "nm"))


def stack_of(glow: np.ndarray, doubled: np.ndarray, step: float | None = 15.0) -> Stack:
    values = np.stack([glow, doubled], axis=-1).astype(np.float32)
    depths = tuple(None if step is None else step * k for k in range(len(values)))
    return Stack(values, "depth", depths, (2.0, 2.0), CHANNELS, 16)


def structure(seed: int, peak: float) -> np.ndarray:
    """Smooth light over four planes, photons a pixel."""
    light = gaussian_filter(np.random.default_rng(seed).normal(size=(4, 100, 100)), (0, 3, 3))
    return np.clip(1 + light / light.std(), 0, None) * peak


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.floats(4, 40), st.floats(1, 200), st.floats(0, 500))
def test_gain_and_offset_are_found_from_the_noise(seed: int, peak: float, gain: float, offset: float) -> None:
    counts = np.random.default_rng(seed).poisson(structure(seed, peak))
    slope, none = gain_and_offset(counts * gain + offset)
    assert slope == pytest.approx(gain, rel=0.2)
    assert abs(none - offset) < 3 * gain


def test_a_picture_without_noise_or_structure_has_a_gain_of_one() -> None:
    assert gain_and_offset(np.full((2, 64, 64), 7.0)) == (1.0, 7.0)


def test_noise_is_one_at_every_brightness_once_stabilised() -> None:
    rng = np.random.default_rng(0)
    before, after = [], []
    for mean in (5, 20, 80, 320):
        counts = rng.poisson(mean, 20_000)
        before.append(counts.std())
        after.append(stabilised(counts.astype(float)).std())
    assert before[-1] > 7 * before[0]
    assert after == pytest.approx([1, 1, 1, 1], abs=0.05)


def test_edges_stay_while_noise_is_levelled() -> None:
    glow = np.full((1, 80, 80), 20.0)
    glow[:, :, 40:] = 60.0
    rng = np.random.default_rng(0)
    noisy = rng.poisson(np.repeat(glow, 4, axis=0))
    seen = views(stack_of(noisy, rng.poisson(5.0, noisy.shape)))[0, 0]
    dark, light = seen[:, 2:30], seen[:, 34:62]
    assert light.mean() - dark.mean() > 3 * (light.std() + dark.std())
    assert noisy[:, :, 44:].std() > 1.6 * noisy[:, :, :36].std()
    assert light.std() < 1.4 * dark.std()


def test_equal_layers_are_equally_bright_at_every_depth() -> None:
    rng = np.random.default_rng(0)
    lost = np.exp(-15 * np.arange(6) / 60)[:, None, None]
    light = 60 * (0.5 + (np.indices((80, 80)).sum(axis=0) // 16 % 2))
    seen = views(stack_of(rng.poisson(light * lost), rng.poisson(10 * lost * np.ones((80, 80)))))
    contrast = [view[0].std() for view in seen]
    level = [np.median(view[0]) for view in seen]
    assert max(contrast) < 1.3 * min(contrast)
    assert np.ptp(level) < 0.5


def test_depths_that_are_not_known_are_not_compensated_nor_is_light_that_grows() -> None:
    fading = [np.array([8.0, 4.0, 2.0])] * 2
    assert (loss(fading, (None, None, None)) == 1).all()
    assert (loss([f[::-1] for f in fading], (0.0, 10.0, 20.0)) == 1).all()
    assert loss(fading, (0.0, 10.0, 20.0)) == pytest.approx([1, 0.5, 0.25])


def test_the_ageing_index_is_high_in_collagen_and_low_in_cells_and_knows_no_depth() -> None:
    assert ageing_index(np.array([1.0, 3.0, 0.0]), np.array([3.0, 1.0, 0.0])) == pytest.approx([0.5, -0.5, 0])
    glow, doubled = np.random.default_rng(0).uniform(1, 9, (2, 50))
    assert ageing_index(glow * 0.2, doubled * 0.2) == pytest.approx(ageing_index(glow, doubled))


def test_channels_are_found_by_what_they_record_in_any_order() -> None:
    stack = parse(simulate.draw(simulate.MELANOMA, np.random.default_rng(1)), LIMITS)
    order = np.arange(len(stack.channels))[::-1]
    turned = replace(
        stack,
        values=np.ascontiguousarray(stack.values[..., order]),
        channels=tuple(stack.channels[i] for i in order),
    )
    assert (views(turned) == views(stack)).all()


def test_of_several_channels_of_fluorescence_the_one_nearest_to_480_nm_is_taken() -> None:
    more = (Channel(FLUORESCENCE, 600.0, "nm"), *CHANNELS, Channel(FLUORESCENCE, 530.0, "nm"))
    assert found(more) == (1, 2)


@pytest.mark.parametrize("channels", [CHANNELS[:1], CHANNELS[1:], (*CHANNELS, CHANNELS[1])])
def test_a_missing_channel_or_two_harmonics_are_refused(channels: tuple[Channel, ...]) -> None:
    with pytest.raises(UnsupportedPixels, match="needed: ExcitationWavelength"):
        found(channels)


def test_distances_that_are_not_known_are_refused_and_not_guessed() -> None:
    stack = stack_of(np.ones((3, 40, 40)), np.ones((3, 40, 40)))
    with pytest.raises(UnsupportedPixels, match="PhysicalSizeX"):
        views(replace(stack, spacing_um=None))


def test_any_stack_has_finite_views_of_the_recipes_shape() -> None:
    for planes in (1, 3, 20):
        for level in (0.0, 5.0):
            stack = stack_of(np.full((planes, 30, 50), level), np.zeros((planes, 30, 50)))
            seen = views(stack)
            assert np.isfinite(seen).all()
            assert seen.shape == (min(planes, RECIPE.most_views), 3, 64, 64)


def test_collagen_lies_below_the_junction_and_not_inside_nests() -> None:
    volume = simulate.lay_out(simulate.CARCINOMA, np.random.default_rng(2))
    below = volume.depths_um[:, None, None] > volume.junction_um + 8
    above = volume.depths_um[:, None, None] < volume.junction_um - 8
    assert volume.harmonic[below].mean() > 20 * volume.harmonic[above].mean()


def test_melanoma_has_more_bright_cells_that_wander_than_nevus() -> None:
    def bright(kind: str, seed: int) -> float:
        volume = simulate.lay_out(kind, np.random.default_rng(seed))
        return float((volume.fluorescence[:2] > 1).mean())

    assert np.mean([bright(simulate.MELANOMA, k) - bright(simulate.NEVUS, k) for k in range(6)]) > 0
    with pytest.raises(ValueError, match="no multiphoton simulation"):
        simulate.draw("wart", np.random.default_rng(0))


def test_the_same_seed_draws_the_same_bytes() -> None:
    once, again = (simulate.draw(simulate.NEVUS, np.random.default_rng(5)) for _ in range(2))
    assert once == again
