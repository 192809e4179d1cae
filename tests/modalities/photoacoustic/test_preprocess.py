"""Does the preprocessing undo what light and spectra did, and tell the truth that was simulated?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from core.errors import UnsupportedPixels
from modalities.photoacoustic import simulate
from modalities.photoacoustic.chromophores import absorption, effective_attenuation
from modalities.photoacoustic.preprocess import MOST_GAIN, compensated, surface, views
from modalities.photoacoustic.reader import parse
from modalities.photoacoustic.recipe import RECIPE
from modalities.photoacoustic.unmixing import saturation, unmix
from modalities.stacks.limits import LIMITS
from modalities.stacks.stack import Channel, Stack

FIVE = [700.0, 760.0, 800.0, 850.0, 900.0]


def stack_of(image: np.ndarray, wavelengths: list[float], spacing: tuple[float, float] | None) -> Stack:
    channels = tuple(Channel(f"{w:g} nm", w, "nm") for w in wavelengths)
    return Stack(np.asarray(image, np.float32)[None], spacing_um=spacing, channels=channels)


def test_blood_absorbs_alike_at_the_isosbestic_point_and_as_its_oxygen_says_elsewhere() -> None:
    oxy, deoxy = absorption([700.0, 797.0, 850.0])[:, :2].T
    assert oxy[0] < deoxy[0] / 5
    assert oxy[1] == pytest.approx(deoxy[1], rel=0.05)
    assert oxy[2] > deoxy[2]
    assert oxy[1] == pytest.approx(4.3, rel=0.1)  # 1/cm in whole blood, Jacques 2013, figure 8


def test_no_spectrum_is_extrapolated() -> None:
    with pytest.raises(ValueError, match="650 to 950"):
        absorption([1064.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_unmixing_is_the_bounded_least_squares_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    spectra = rng.normal(size=(6, 5)) * rng.uniform(0.1, 100)
    table = absorption(FIVE)
    found = unmix(spectra, FIVE)
    for pixel, amounts in zip(spectra, found, strict=True):
        assert amounts == pytest.approx(nnls(table, pixel)[0], rel=1e-6, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(0.001, 1), st.floats(0, 0.2), st.permutations(FIVE))
def test_what_was_mixed_is_found_again_in_any_order_of_channels(
    oxygen: float, blood: float, melanin: float, order: list[float]
) -> None:
    truth = np.array([[blood * oxygen, blood * (1 - oxygen), melanin]])
    found = unmix(truth @ absorption(order).T, order)
    assert found == pytest.approx(truth, abs=1e-8)
    assert saturation(found)[0] == pytest.approx(oxygen, abs=1e-4)


@pytest.mark.parametrize("wavelengths", [[750.0, 850.0], [800.0, 810.0, 820.0]])
def test_wavelengths_that_cannot_tell_blood_from_melanin_are_refused_with_what_is_needed(
    wavelengths: list[float],
) -> None:
    image = np.ones((40, 40, len(wavelengths)))
    with pytest.raises(UnsupportedPixels, match="such as 700, 760, 800 and 850 nm"):
        views(stack_of(image, wavelengths, (100.0, 100.0)))


def test_distances_that_are_not_known_are_refused_and_not_guessed() -> None:
    with pytest.raises(UnsupportedPixels, match="how far apart"):
        views(stack_of(np.ones((40, 40, 5)), FIVE, None))


def test_equal_absorbers_are_equally_bright_at_every_depth_after_compensation() -> None:
    depth_cm = (np.arange(40) + 0.5) * 0.01
    faded = np.exp(-np.outer(depth_cm, effective_attenuation(FIVE)))[:, None, :] * np.ones((40, 8, 5))
    assert faded[0].mean() > 4 * faded[-1].mean()
    assert compensated(faded, FIVE, 100.0, 0) == pytest.approx(np.ones((40, 8, 5)), rel=1e-9)


def test_the_gain_ends_where_noise_would_be_all_that_grows() -> None:
    lifted = compensated(np.ones((200, 1, 5)), FIVE, 500.0, 0)
    assert lifted.max() == MOST_GAIN


def test_the_surface_is_the_line_of_melanin_below_the_coupling_medium() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        section = simulate.lay_out(simulate.NEVUS, rng)
        frame = simulate.pressure(section, FIVE)
        assert abs(surface(frame) - section.top) <= 1


def test_the_surface_is_faint_where_blood_below_it_is_bright() -> None:
    frame = np.zeros((40, 20, 5))
    frame[10], frame[20:25] = 0.3, 1.0
    assert surface(frame + np.random.default_rng(0).normal(0, 0.05, frame.shape)) == 10


def test_deeper_melanin_is_seen_deeper_and_blood_is_not_taken_for_melanin() -> None:
    reach = []
    for depth in (6, 20):
        parts = np.zeros((60, 60, 3))
        parts[:, :, 0], parts[:, :, 1] = 0.002, 0.001
        parts[4:7, :, 2] = 0.02
        parts[4 : 4 + depth, 20:40, 2] = 0.02
        parts[40:44, 20:40, :2] = 0.5
        below_cm = np.clip(np.arange(60) - 3.5, 0, None) * 80e-4
        light = np.exp(-np.outer(below_cm, effective_attenuation(FIVE)))[:, None]
        seen = views(stack_of(parts @ absorption(FIVE).T * light, FIVE, (80.0, 166.0)))[0]
        melanin = seen[2][:, 32] > seen[2].min() + 1
        reach.append(np.flatnonzero(melanin).max())
        assert seen[0][:, 32].argmax() == pytest.approx((42 - 4) * 80 / 5000 * 64, abs=2)
    assert reach[1] > reach[0] + 10


def test_less_oxygen_is_lower_in_the_channel_of_oxygen() -> None:
    levels = []
    for oxygen in (0.5, 0.9):
        parts = np.zeros((60, 60, 3))
        parts[4:7, :, 2] = 0.02
        parts[20:30, :, 0], parts[20:30, :, 1] = 0.5 * oxygen, 0.5 * (1 - oxygen)
        seen = views(stack_of(parts @ absorption(FIVE).T, FIVE, (80.0, 166.0)))[0]
        levels.append(seen[1][20, 32])
    assert levels[1] - levels[0] == pytest.approx(0.4 / 0.15, rel=0.1)


def test_views_do_not_hang_on_the_order_of_wavelengths_nor_on_the_scale_of_the_file() -> None:
    stack = parse(simulate.draw(simulate.MELANOMA, np.random.default_rng(3)), LIMITS)
    order = np.random.default_rng(0).permutation(len(stack.channels))
    turned = replace(
        stack,
        values=np.ascontiguousarray(stack.values[..., order] * 8),
        channels=tuple(stack.channels[i] for i in order),
    )
    assert views(turned) == pytest.approx(views(stack), abs=2e-3)


def test_a_recording_of_many_frames_has_four_views() -> None:
    frames = np.random.default_rng(0).random((9, 40, 40, 5)).astype(np.float32)
    channels = tuple(Channel(f"{w:g}", w, "nm") for w in FIVE)
    stack = Stack(frames, "time", (None,) * 9, (100.0, 100.0), channels)
    assert views(stack).shape == (RECIPE.most_views, RECIPE.channels, RECIPE.side, RECIPE.side)


def test_an_image_of_zeros_has_finite_views() -> None:
    assert np.isfinite(views(stack_of(np.zeros((40, 40, 5)), FIVE, (100.0, 100.0)))).all()


def test_the_same_seed_draws_the_same_bytes_and_no_kind_is_always_told_by_one_number() -> None:
    kinds = [kind for kind, _ in RECIPE.kinds]
    once, again = (simulate.draw(kinds[0], np.random.default_rng(1)) for _ in range(2))
    assert once == again
    depths = {
        kind: [simulate.lay_out(kind, np.random.default_rng(k)).melanin_um for k in range(60)]
        for kind in (simulate.MELANOMA, simulate.NEVUS)
    }
    assert np.median(depths[simulate.MELANOMA]) > 1.5 * np.median(depths[simulate.NEVUS])
    assert min(depths[simulate.MELANOMA]) < np.quantile(depths[simulate.NEVUS], 0.9)
    with pytest.raises(ValueError, match="no photoacoustic simulation"):
        simulate.draw("wart", np.random.default_rng(0))
