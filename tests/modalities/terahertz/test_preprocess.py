"""Does the physics hold: water as measured, index and absorption found again, height told from phase?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UnsupportedPixels
from modalities.stacks.limits import LIMITS
from modalities.stacks.stack import Channel, Stack
from modalities.terahertz import simulate
from modalities.terahertz.dielectric import (
    DRY,
    LIGHT_UM_PS,
    SKIN,
    WATER,
    absorption,
    index_of,
    layered,
    liquid_water,
    on_mirror,
    tissue,
)
from modalities.terahertz.preprocess import levelled, optical, ratio_of, views
from modalities.terahertz.reader import AMPLITUDE, BANDS, PHASE, parse
from modalities.terahertz.recipe import RECIPE

F = np.array(BANDS)


def stack_of(ratio: np.ndarray, spacing: tuple[float, float] | None = (500.0, 500.0)) -> Stack:
    values = np.concatenate([np.abs(ratio), np.angle(ratio)], axis=-1)[None].astype(np.float32)
    channels = tuple(Channel(f"{w} {f:g} THz", f, "THz") for w in (AMPLITUDE, PHASE) for f in BANDS)
    return Stack(values, spacing_um=spacing, channels=channels)


def test_water_has_the_index_and_absorption_that_are_known_at_1_thz() -> None:
    index = liquid_water(298.15).index(1.0)
    assert index.real == pytest.approx(2.14, rel=0.03)
    assert absorption(index, 1.0) == pytest.approx(220, rel=0.05)


def test_tissue_without_water_is_dry_and_tissue_of_water_is_water() -> None:
    assert tissue(0.0, F) == pytest.approx(np.full(6, DRY**0.5 + 0j))
    assert tissue(1.0, F) == pytest.approx(WATER.index(F))


def test_skin_lies_between_dry_tissue_and_water_at_every_band() -> None:
    skin, water = SKIN.index(F), WATER.index(F)
    assert (tissue(0.0, F).real < skin.real).all() and (skin.real < water.real).all()
    assert (absorption(skin, F) > 50).all() and (absorption(skin, F) < absorption(water, F)).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(0.05, 1.0), st.floats(0.05, 1.0))
def test_more_water_reflects_more_and_absorbs_more_at_every_band(one: float, other: float) -> None:
    low, high = sorted((one, other))
    wet, dry = tissue(high, F), tissue(low, F)
    assert (absorption(wet, F) >= absorption(dry, F)).all()
    assert (np.abs(on_mirror(wet)) >= np.abs(on_mirror(dry))).all()


@settings(max_examples=50, deadline=None)
@given(st.floats(1.1, 3), st.floats(0, 1))
def test_index_is_found_again_from_reflection(real: float, loss: float) -> None:
    index = np.array([real - 1j * loss])
    assert index_of(on_mirror(index)) == pytest.approx(index, rel=1e-9)


def test_a_layer_of_no_thickness_and_one_of_the_same_tissue_are_not_there() -> None:
    upper, lower = tissue(0.25, F), tissue(0.65, F)
    assert layered(upper, lower, 0.0, F) == pytest.approx(on_mirror(lower), rel=1e-9)
    assert layered(lower, lower, 40.0, F) == pytest.approx(on_mirror(lower), rel=1e-9)
    assert layered(upper, lower, 1e5, F) == pytest.approx(on_mirror(upper), abs=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.floats(-120, 120))
def test_height_is_told_from_phase_and_taken_out(height: float) -> None:
    ratio = on_mirror(SKIN.index(F)) * np.exp(2j * 2 * np.pi * F * height / LIGHT_UM_PS)
    level, found = levelled(ratio[None, None], F)
    assert found[0, 0] == pytest.approx(height, abs=1e-6)
    assert level[0, 0] == pytest.approx(on_mirror(SKIN.index(F)), rel=1e-9)


def test_index_and_absorption_of_a_half_space_are_those_of_its_tissue() -> None:
    wet = tissue(0.7, F)
    index, loss = optical(on_mirror(wet), F)
    assert index == pytest.approx(wet.real)
    assert loss == pytest.approx(absorption(wet, F))


def test_an_amplitude_that_no_tissue_has_gives_finite_numbers() -> None:
    for strength in (0.0, 1.0, 7.0):
        index, loss = optical(np.full((1, 1, 6), strength, complex), F)
        assert np.isfinite(index).all() and np.isfinite(loss).all()


def test_bands_are_found_by_frequency_in_any_order() -> None:
    stack = parse(simulate.draw(simulate.CARCINOMA, np.random.default_rng(0)), LIMITS)
    order = np.random.default_rng(1).permutation(12)
    turned = replace(
        stack,
        values=np.ascontiguousarray(stack.values[..., order]),
        channels=tuple(stack.channels[i] for i in order),
    )
    assert (ratio_of(turned) == ratio_of(stack)).all()
    assert (views(turned) == views(stack)).all()


def test_a_missing_band_is_refused_and_all_that_are_needed_are_named() -> None:
    stack = stack_of(np.full((20, 20, 6), 0.4 + 0j))
    kept = [i for i, c in enumerate(stack.channels) if c.value != 1.2]
    less = replace(
        stack,
        values=np.ascontiguousarray(stack.values[..., kept]),
        channels=tuple(stack.channels[i] for i in kept),
    )
    with pytest.raises(UnsupportedPixels, match=r"no channel for 1\.2 THz; needed: 0\.15 to 0\.25 THz"):
        views(less)


def test_a_wet_patch_is_brighter_in_amplitude_index_and_absorption_where_it_lies() -> None:
    water = np.full((32, 32), 0.6)
    water[4:12, 18:26] = 0.8
    seen = views(stack_of(on_mirror(tissue(water[..., None], F))))[0]
    for channel in (0, 3, 5, 6, 7):
        middle = seen[channel, 6:10, 20:24].mean()
        assert middle > seen[channel, 20:28, 4:12].mean() + 0.2
        assert middle > seen[channel, 20:28, 20:24].mean() + 0.2


def test_what_lies_outside_a_small_scan_is_the_median_and_distances_set_the_scale() -> None:
    water = np.full((16, 16), 0.6)
    water[6:10, 6:10] = 0.8
    ratio = on_mirror(tissue(water[..., None], F))
    seen, whole = views(stack_of(ratio))[0], views(stack_of(ratio, None))[0]
    assert np.ptp(seen[:, :7, :7], axis=(1, 2)) == pytest.approx(np.zeros(9), abs=1e-5)
    wide = [(view[3] > np.median(view[3]) + 0.3).sum() for view in (seen, whole)]
    assert wide[1] == 4 * wide[0]


def test_the_simulators_carcinoma_is_wetter_than_its_nevus_and_they_overlap() -> None:
    def contrast(kind: str, seed: int) -> float:
        patch = simulate.lay_out(kind, (40, 40), np.random.default_rng(seed))
        return float(patch.water[patch.inside > 0.9].mean() - patch.water[patch.inside < 0.1].mean())

    wet = [contrast(simulate.CARCINOMA, k) for k in range(60)]
    plain = [contrast(simulate.NEVUS, k) for k in range(60)]
    assert np.median(wet) > np.median(plain) + 0.03
    assert min(wet) < np.quantile(plain, 0.9)
    with pytest.raises(ValueError, match="no terahertz simulation"):
        simulate.draw("wart", np.random.default_rng(0))


def test_what_was_simulated_is_read_again_within_the_noise() -> None:
    flat = np.full((24, 24), 1.0)
    patch = simulate.Patch(flat * 0.65, flat * 0.25, flat * 18, flat * 20, flat * 0)
    data = simulate.written(*simulate.recorded(patch, np.random.default_rng(0)))
    found = ratio_of(parse(data, LIMITS)).mean(axis=(0, 1))
    truth = simulate.reflected(patch, F)[0, 0]
    assert np.abs(found / truth - 1).max() < 0.06


def test_the_same_seed_draws_the_same_bytes() -> None:
    kind = RECIPE.kinds[0][0]
    once, again = (simulate.draw(kind, np.random.default_rng(5)) for _ in range(2))
    assert once == again
