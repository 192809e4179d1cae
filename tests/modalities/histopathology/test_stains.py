"""Are stains told apart, and are slides of two laboratories made alike?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from modalities.histopathology.preprocess import vary, views
from modalities.histopathology.reader import read
from modalities.histopathology.simulate import KINDS, DrawnSlide, as_slide, draw_section
from modalities.histopathology.stains import (
    LAMP,
    REFERENCE,
    RUIFROK,
    normalised,
    optical_density,
    stain_vectors,
    unmix,
)
from modalities.stacks.stack import Channel, FloatArray, Stack

MACENKO = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])
OTHER = np.array([[0.65, 0.68, 0.34], [0.14, 0.88, 0.45]])
RGB = (Channel("red"), Channel("green"), Channel("blue"))


def amounts(seed: int = 0, shape: tuple[int, ...] = (4, 64, 64)) -> FloatArray:
    """Haematoxylin in a fifth of the pixels, eosin in most."""
    rng = np.random.default_rng(seed)
    h = rng.gamma(2, 0.35, shape) * (rng.random(shape) < 0.2)
    e = rng.uniform(0.2, 0.9, shape) * (rng.random(shape) < 0.85)
    return np.stack([h, e], -1).astype(np.float32)


def lit(
    cells: FloatArray, stains: npt.NDArray[np.float64], strength: tuple[float, float] = (1, 1)
) -> FloatArray:
    unit = stains / np.linalg.norm(stains, axis=1, keepdims=True)
    light: FloatArray = ((LAMP + 1) * np.exp(-(cells * strength) @ unit) - 1).astype(np.float32)
    return light


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1.5), st.floats(0, 1.5))
def test_unmixing_gives_back_what_was_mixed(haematoxylin: float, eosin: float) -> None:
    light = lit(np.array([[haematoxylin, eosin]], np.float32), RUIFROK)
    found = unmix(optical_density(light), RUIFROK)
    np.testing.assert_allclose(found, [[haematoxylin, eosin]], atol=1e-3)


def test_the_slides_own_stains_are_found_within_five_degrees() -> None:
    for stains in (MACENKO, OTHER):
        density = optical_density(lit(amounts(), stains)).reshape(-1, 3)
        found = stain_vectors(density)
        unit = stains / np.linalg.norm(stains, axis=1, keepdims=True)
        assert np.degrees(np.arccos((found * unit).sum(1))).max() < 5


def test_one_stain_alone_or_too_little_falls_back_to_published_vectors() -> None:
    alone = amounts()
    alone[..., 0] = 0
    for cells in (alone, amounts(shape=(1, 8, 8))):
        np.testing.assert_array_equal(
            stain_vectors(optical_density(lit(cells, MACENKO)).reshape(-1, 3)), RUIFROK
        )
    blank = np.full((1, 16, 16, 3), LAMP, np.float32)
    assert not normalised(blank).any()


def test_normalised_slides_share_their_99th_percentiles() -> None:
    light = lit(amounts(), MACENKO)
    found = normalised(light)
    coloured = (optical_density(light) > 0.15).any(-1)
    np.testing.assert_allclose(np.percentile(found[coloured], 99, axis=0), REFERENCE, rtol=1e-3)


def test_one_tissue_of_two_laboratories_looks_alike() -> None:
    cells = amounts(3)
    first, second = lit(cells, MACENKO), lit(cells, OTHER, (1.5, 0.7))
    apart = np.abs(first - second).mean() / first.std()
    one, two = (views(Stack(light, "tile", channels=RGB)) for light in (first, second))
    assert apart > 0.3
    assert np.abs(one - two).mean() < 0.15 < apart / 2 + 0.1
    for channel in range(3):
        assert np.corrcoef(one[:, channel].ravel(), two[:, channel].ravel())[0, 1] > 0.97


def test_views_are_about_zero_and_one_and_the_same_each_time() -> None:
    made = [views(read(as_slide(draw_section(k, np.random.default_rng(s))))) for k in KINDS for s in (1,)]
    together = np.concatenate(made)
    assert together.dtype == np.float32
    assert together.shape[1:] == (3, 64, 64)
    assert np.abs(together.mean((0, 2, 3))).max() < 0.6
    assert ((together.std((0, 2, 3)) > 0.6) & (together.std((0, 2, 3)) < 1.6)).all()
    np.testing.assert_array_equal(
        views(read(as_slide(draw_section("nevus", np.random.default_rng(1))))), made[0]
    )


def test_nuclei_are_bright_in_the_channel_of_haematoxylin() -> None:
    slide = draw_section("basal cell carcinoma", np.random.default_rng(7))
    inside = normalised(slide.pixels[None].astype(np.float32))[0]
    assert inside[slide.lesion, 0].mean() > 3 * inside[slide.tissue & ~slide.lesion, 0].mean()
    assert inside[slide.lesion, 1].mean() < inside[slide.tissue & ~slide.lesion, 1].mean()


def test_the_tumour_takes_a_part_of_the_tissue() -> None:
    for kind in KINDS:
        shares = [_share(draw_section(kind, np.random.default_rng(s))) for s in range(2)]
        assert min(shares) > 0.02
        assert max(shares) < 0.45


def test_the_same_numbers_draw_the_same_file() -> None:
    one, two, other = (as_slide(draw_section("melanoma", np.random.default_rng(s))) for s in (4, 4, 5))
    assert one == two != other


def _share(slide: DrawnSlide) -> float:
    return float(slide.lesion.sum() / slide.tissue.sum())


def test_a_varied_slide_holds_the_same_numbers_tile_by_tile() -> None:
    seen = np.random.default_rng(0).normal(size=(5, 3, 8, 8)).astype(np.float32)
    varied = vary(seen, np.random.default_rng(1))
    assert (varied != seen).any()
    np.testing.assert_array_equal(np.sort(varied, axis=None), np.sort(seen, axis=None))
    for one, other in zip(varied, seen, strict=True):
        np.testing.assert_array_equal(np.sort(one.reshape(3, -1)), np.sort(other.reshape(3, -1)))
