"""Is attenuation found whatever lies above it, the skin flattened, and the rest of a volume left alone?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modalities.oct.anatomy import COLUMN_MM, KINDS, ROW_MM, SLICE_MM, Anatomy, draw_skin
from modalities.oct.attenuation import attenuation, last_seen_row, noise_level, rest_below
from modalities.oct.preprocess import ABOVE_UM, DEPTH_UM, MOST_VIEWS, NEIGHBOURS, SIDE, prepare, views
from modalities.oct.scale import find_scale
from modalities.oct.simulate import Scanner, draw_volume, intensity, stored
from modalities.stacks import Channel, Stack
from modalities.stacks.surface import surface_rows

Array = npt.NDArray[np.float64]
SPACING = (1e3 * ROW_MM, 1e3 * COLUMN_MM)


def stack_of(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], sized: bool = True) -> Stack:
    steps = tuple(1e3 * SLICE_MM * k for k in range(len(values)))
    bits = 8 * values.dtype.itemsize
    return Stack(
        values.astype(np.float32)[..., None],
        "slice",
        steps,
        SPACING if sized else None,
        (Channel("OCT"),),
        bits,
    )


def layered(*layers: tuple[float, float]) -> Anatomy:
    """Flat skin of layers: (depth in mm that one begins at, its coefficient per mm)."""
    skin = draw_skin(np.random.default_rng(0))
    skin.depth[:] = ((np.arange(skin.depth.shape[1]) + 0.5) * ROW_MM - 0.12)[None, :, None]
    skin.mu[:] = 0
    for start, mu in layers:
        skin.mu[skin.depth > start] = mu
    return skin


def single_scattering(mu: Array, pixel: float) -> Array:
    """Light that comes back from each pixel, the loss within it included."""
    passed = np.concatenate([np.zeros_like(mu[:1]), np.cumsum(mu * pixel, axis=0)])
    return -np.diff(np.exp(-2 * passed), axis=0)


@given(st.integers(2, 40), st.integers(0, 999), st.floats(0.001, 0.05))
def test_any_layering_is_recovered_where_all_light_is_accounted_for(
    rows: int, seed: int, pixel: float
) -> None:
    mu = np.random.default_rng(seed).uniform(0.5, 12, (rows, 3))
    back = single_scattering(mu, pixel)
    rest = np.exp(-2 * mu.sum(axis=0) * pixel)
    np.testing.assert_allclose(attenuation(back[None], pixel, rest[None])[0], mu, rtol=1e-6)


def test_without_the_rest_below_the_last_rows_are_overestimated() -> None:
    mu = np.full((60, 1), 3.0)
    back = single_scattering(mu, 0.008)
    plain = attenuation(back[None], 0.008)[0, :, 0]
    assert plain[0] < 3 * 1.1
    assert plain[-2] > 3 * 10
    rest = rest_below(back[None], 59)
    np.testing.assert_allclose(attenuation(back[None], 0.008, rest)[0], 3, rtol=0.1)


def test_a_column_without_light_has_no_attenuation() -> None:
    assert (attenuation(np.zeros((1, 9, 2)), 0.01) == 0).all()


def test_a_layer_is_as_strong_under_a_dark_or_a_bright_one() -> None:
    """The raw picture shows the same layer differently; the coefficient is the same at all depths."""
    found, raw = [], []
    for above in (1.5, 7.0):
        skin = layered((0, above), (0.24, 4.0))
        values = stored(intensity(skin, Scanner(averaged=3), np.random.default_rng(1)), Scanner())
        rows = (np.arange(SIDE) + 0.5) * DEPTH_UM / SIDE - ABOVE_UM
        inside = (rows > 290) & (rows < 420)
        found.append(np.nanmean(prepare(stack_of(values)).coefficients[:, :, inside]))
        raw.append(values[:, 56:66].mean())
    assert raw[0] - raw[1] > 30
    assert found[0] == pytest.approx(found[1], rel=0.15)
    assert found[0] == pytest.approx(4.0, rel=0.25)


@pytest.mark.parametrize("logarithmic", [True, False])
def test_coefficients_are_about_right_from_either_kind_of_file(logarithmic: bool) -> None:
    scanner = Scanner(averaged=1, logarithmic=logarithmic, noise_db=-34)
    skin = layered((0, 2.5), (0.1, 5.0), (0.3, 3.0))
    prepared = prepare(stack_of(stored(intensity(skin, scanner, np.random.default_rng(2)), scanner)))
    assert (prepared.scale.levels_per_db is not None) is logarithmic
    depth = (np.arange(SIDE) + 0.5) * DEPTH_UM / SIDE - ABOVE_UM
    for low, high, mu in ((25, 80, 2.5), (130, 270, 5.0), (340, 450, 3.0)):
        inside = (depth > low) & (depth < high)
        assert np.nanmean(prepared.coefficients[:, 1, inside]) == pytest.approx(mu, rel=0.3)


def test_speckle_tells_logarithms_from_intensities_and_their_scale() -> None:
    rng = np.random.default_rng(0)
    mean = np.linspace(1, 40, 200)[None, :, None]
    speckled = mean * rng.exponential(size=(3, 200, 120))
    assert find_scale((100 * speckled).astype(np.float32), 16).levels_per_db is None
    logarithm = 100 + 40 * np.log10(speckled)
    assert find_scale(logarithm.astype(np.float32), 8).levels_per_db == pytest.approx(4, rel=0.1)
    still = find_scale(np.full((1, 80, 80), 7, np.float32), 8)
    assert any("no speckle" in note for note in still.notes)


@pytest.mark.parametrize("kind", KINDS)
def test_the_surface_is_found_within_thirty_micrometres(kind: str) -> None:
    values, skin, _ = draw_volume(kind, np.random.default_rng(3), Scanner())
    true = (skin.depth > 0).argmax(axis=1)
    found = np.stack([surface_rows(plane.astype(np.float32)) for plane in values])
    assert np.percentile(np.abs(found - true), 95) * ROW_MM <= 0.03


def test_a_tilted_and_a_level_volume_give_the_same_views() -> None:
    values, _, _ = draw_volume("basal cell carcinoma", np.random.default_rng(5), Scanner(averaged=3))
    tilted = values.copy()
    for column in range(values.shape[2]):
        tilted[:, :, column] = np.roll(values[:, :, column], column // 40, axis=1)
    level, turned = views(stack_of(values)), views(stack_of(tilted))
    assert np.corrcoef(level[:, :, :80].ravel(), turned[:, :, :80].ravel())[0, 1] > 0.75


def test_neighbours_are_channels_and_views_lie_evenly() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(20, 220, (30, 64, 64), dtype=np.uint8)
    prepared = prepare(stack_of(values, sized=False))
    assert prepared.centres == (1, 6, 12, 17, 23, 28)
    alone = prepare(stack_of(values[5:8], sized=False))
    assert alone.centres == (1,)
    assert not prepared.to_scale


@pytest.mark.parametrize(("slices", "expected"), [(1, 1), (2, 2), (3, 1), (5, 3), (40, MOST_VIEWS)])
def test_any_number_of_slices_gives_finite_views_alike_at_every_call(slices: int, expected: int) -> None:
    values = np.random.default_rng(1).integers(0, 255, (slices, 40, 64), dtype=np.uint8)
    first, second = views(stack_of(values)), views(stack_of(values))
    assert first.shape == (expected, NEIGHBOURS, SIDE, SIDE)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("level", [0, 9, 255])
def test_a_volume_of_one_grey_has_views_that_say_nothing(level: int) -> None:
    assert np.isfinite(views(stack_of(np.full((4, 64, 64), level, np.uint8)))).all()


def test_noise_is_read_from_the_air_and_ends_what_is_seen() -> None:
    rng = np.random.default_rng(0)
    power = rng.exponential(2.0, (1, 100, 50))
    air = np.zeros(power.shape, bool)
    air[:, :10] = True
    assert noise_level(power, air) == pytest.approx(2, rel=0.15)
    signal = np.zeros((1, 90, 50))
    signal[:, :30] = 50
    assert last_seen_row(signal, 2.0) == 29


def test_speckle_of_the_simulator_is_exponential_and_light_falls_by_single_scattering() -> None:
    scanner = Scanner(noise_db=-90)
    values = intensity(layered((0, 4.0)), scanner, np.random.default_rng(3))
    row = values[:, 40]
    assert row.std() / row.mean() == pytest.approx(1, abs=0.1)
    profile = np.log(values.mean(axis=(0, 2)))
    slope = np.polyfit(np.arange(30, 100) * ROW_MM, profile[30:100], 1)[0]
    assert slope == pytest.approx(-2 * 4.0, rel=0.05)
