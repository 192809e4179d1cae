"""Is the light that depth and edges take made up for, and are the planes that are seen the right ones?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.confocal.attenuation import compensated, decay
from modalities.confocal.fields import grid_of
from modalities.confocal.preprocess import MOST_VIEWS, SIDE, views
from modalities.confocal.shading import evened
from modalities.confocal.varying import vary
from modalities.stacks import Stack


def tissue(number: int = 9, side: int = 128, seed: int = 0) -> np.ndarray:
    """Checkers of one contrast in every plane, with speckle."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    checkers = 80 + 40 * np.sign(np.sin(y / 5) * np.sin(x / 5))
    return np.stack([checkers * rng.gamma(8, 1 / 8, checkers.shape) for _ in range(number)])


def stack(planes: np.ndarray, *depths: float | None, spacing: float | None = 500 / 128) -> Stack:
    known = depths or (None,) * len(planes)
    size = None if spacing is None else (spacing, spacing)
    return Stack(planes[..., None].astype(np.float32), "depth", known, size)


def contrasts(planes: np.ndarray) -> np.ndarray:
    """Of checkers, in each plane."""
    y, x = np.mgrid[: planes.shape[1], : planes.shape[2]]
    bright = np.sin(y / 5) * np.sin(x / 5) > 0
    return planes[:, bright].mean(axis=1) - planes[:, ~bright].mean(axis=1)


def test_layers_have_one_contrast_at_every_depth_once_attenuation_is_compensated() -> None:
    depths = np.linspace(10, 150, 9)
    faded = tissue() * np.exp(-0.015 * depths)[:, None, None]
    before, after = contrasts(faded), contrasts(compensated(faded.astype(np.float32), depths))
    assert before.max() / before.min() > 5
    assert after.max() / after.min() < 1.1


@given(st.floats(0.0, 0.03), st.integers(0, 100), st.integers(6, 40))
@settings(max_examples=40, deadline=None)
def test_the_rate_is_found_whatever_two_planes_stand_out(mu: float, seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    depths = np.sort(rng.uniform(0, 150, number))
    levels = 100 * np.exp(-mu * depths)
    if number >= 10:
        levels[rng.choice(number, 2, replace=False)] *= 20
    assert decay(levels, depths) == pytest.approx(mu, abs=0.004)


def test_a_stack_that_does_not_fade_is_left_as_it_is() -> None:
    rising = np.linspace(1, 2, 9)
    assert decay(rising, np.arange(9.0)) == 0
    assert decay(np.array([3.0, 1.0]), np.arange(2.0)) == 0


def test_the_common_fall_off_of_light_is_taken_out_and_tissue_stays() -> None:
    line = np.linspace(-1, 1, 128)
    profile = 1 - 0.3 * (line[:, None] ** 2 + line**2)
    fields = (tissue() * profile).astype(np.float32)
    even = evened(fields)

    def edge_to_middle(planes: np.ndarray) -> float:
        mean = (planes / tissue()).mean(axis=0)
        return float(mean[:16, :16].mean() / mean[56:72, 56:72].mean())

    assert edge_to_middle(fields) < 0.6
    assert edge_to_middle(even) == pytest.approx(1, abs=0.15)
    assert np.corrcoef(even[0].ravel(), tissue()[0].ravel())[0, 1] > 0.98


def test_few_fields_are_given_back_as_they_are() -> None:
    fields = tissue(3).astype(np.float32)
    assert evened(fields) is fields


def test_speckle_falls_and_edges_stay() -> None:
    seen = views(stack(tissue(side=384), spacing=500 / 384))[:, 0]
    clean = np.sign(np.sin(np.mgrid[:384, :384][0] / 5) * np.sin(np.mgrid[:384, :384][1] / 5))
    small = clean.reshape(SIDE, 4, SIDE, 4).mean(axis=(1, 3))
    assert np.corrcoef(seen[0].ravel(), small.ravel())[0, 1] > 0.9


def marked(number: int) -> np.ndarray:
    """Planes each with a bright bar at a place of its own."""
    planes = tissue(number)
    for k, plane in enumerate(planes):
        plane[:, 6 * k : 6 * k + 6] = 400
    return planes


def bars(seen: np.ndarray) -> list[int]:
    return [round(float(v[0].mean(axis=0).argmax()) * 128 / SIDE // 6) for v in seen]


def test_views_are_the_planes_nearest_to_the_layers() -> None:
    depths = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130)
    assert bars(views(stack(marked(14), *depths))) == [1, 2, 4, 6, 8, 11]


def test_planes_in_any_order_give_views_from_shallow_to_deep() -> None:
    depths = np.arange(14) * 10.0
    turned = views(stack(marked(14)[::-1], *depths[::-1]))
    assert bars(turned) == [1, 2, 4, 6, 8, 11]


def test_views_are_spread_evenly_where_depths_are_not_known() -> None:
    assert bars(views(stack(marked(11)))) == [0, 2, 4, 6, 8, 10]


def test_one_unknown_depth_makes_all_depths_unusable() -> None:
    depths = [10.0 * k for k in range(11)]
    assert bars(views(stack(marked(11), None, *depths[1:]))) == [0, 2, 4, 6, 8, 10]


def test_a_mosaic_is_seen_by_fields_evenly_over_it() -> None:
    mosaic = np.full((1, 400, 600, 1), 10, np.float32)
    mosaic += np.random.default_rng(0).normal(size=mosaic.shape).astype(np.float32)
    one = Stack(mosaic, "none", (), (5.0, 5.0))
    assert grid_of(400, 600, (5.0, 5.0)) == (4, 6)
    assert views(one).shape == (MOST_VIEWS, 1, SIDE, SIDE)


def test_a_field_is_500_micrometres_whatever_the_plane_holds_of_it() -> None:
    y, x = np.mgrid[:180, :180]
    whole = (100 + 50 * np.sin(2 * np.pi * x / 10) * np.ones_like(y))[None]
    seen = views(stack(whole, 50.0, spacing=4.0))
    rows = np.abs(np.fft.rfft(seen[0, 0] - seen[0, 0].mean(), axis=1)).mean(axis=0)
    assert rows.argmax() == pytest.approx(12.5, abs=1)  # 125 pixels of 4 micrometres hold 12.5 waves


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_plane_of_one_grey_gives_finite_views(value: float) -> None:
    seen = views(Stack(np.full((2, 64, 64, 1), value, np.float32), "depth", (None, None)))
    assert np.isfinite(seen).all() and seen.dtype == np.float32


def test_the_same_stack_gives_the_same_bits_and_more_light_the_same_views() -> None:
    one = stack(tissue())
    assert np.array_equal(views(one), views(one))
    np.testing.assert_allclose(views(one), views(stack(3 * tissue())), atol=2e-3)


@given(st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_a_varied_lesion_keeps_its_views_in_order_and_is_a_copy(number: int, seed: int) -> None:
    levels = 10 * np.arange(number, dtype=np.float32)
    seen = np.broadcast_to(levels[:, None, None, None], (number, 1, SIDE, SIDE)).copy()
    found = vary(seen, np.random.default_rng(seed))
    assert found.shape == seen.shape and found.dtype == np.float32 and found.flags.writeable
    assert np.ptp(found, axis=(1, 2, 3)).max() < 1e-4  # what is flat stays flat
    assert (np.diff(found.mean(axis=(1, 2, 3))) > 5).all()
    assert np.array_equal(seen[:, 0, 0, 0], levels)


def test_all_views_of_a_lesion_are_turned_alike() -> None:
    ramp = np.broadcast_to(np.arange(SIDE, dtype=np.float32), (3, 1, SIDE, SIDE)).copy()
    for seed in range(12):
        found = vary(ramp, np.random.default_rng(seed))[:, 0]
        slopes = {tuple(np.sign(np.round(s, 1))) for s in (_slope(view) for view in found)}
        assert len(slopes) == 1


def _slope(view: np.ndarray) -> tuple[float, float]:
    middle = view[20:-20, 20:-20]
    return float(np.diff(middle, axis=0).mean()), float(np.diff(middle, axis=1).mean())
