"""Do the features measure what they say, on shapes and colours that are known?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from core.errors import InputError, PluginContractError
from modalities.stages import measured
from modalities.stages.arrays import lab_of
from modalities.stages.border import perimeter
from modalities.stages.colours import REFERENCES
from modalities.stages.plugin import FEATURES
from plugins import FeatureSpec

SKIN = (214, 168, 146)


def disc(radius: float = 40, x: float = 64, y: float = 64, side: int = 128) -> Any:
    rows, columns = np.mgrid[:side, :side]
    return np.hypot(columns - x, rows - y) <= radius


def painted(mask: Any, colour: Any = (100, 60, 40), skin: Any = SKIN) -> Any:
    return np.where(mask[..., None], colour, skin).astype(np.uint8)


def of(pixels: Any, mask: Any, scale: float | None = None) -> dict[str, float | None]:
    return measured(pixels, mask, FEATURES, scale)


def test_lab_is_that_of_the_standard() -> None:
    # Values of the CIE formulas as Lindbloom's calculator gives them for sRGB at D65.
    known = {
        (255, 255, 255): (100, 0, 0),
        (255, 0, 0): (53.24, 80.09, 67.20),
        (0, 0, 255): (32.30, 79.19, -107.86),
    }
    for colour, lab in known.items():
        assert lab_of(np.array(colour, np.uint8)) == pytest.approx(lab, abs=0.05)


def test_a_disc_is_symmetric_and_half_a_disc_is_not() -> None:
    whole = of(painted(disc()), disc())
    assert whole["asymmetry_outline_long_axis"] < 0.02  # type: ignore[operator]
    assert whole["asymmetry_colour_short_axis"] < 1  # type: ignore[operator]
    half = disc() & (np.mgrid[:128, :128][1] < 64 + 10 * (np.mgrid[:128, :128][0] > 64))
    lame = of(painted(half), half)
    assert max(lame["asymmetry_outline_long_axis"], lame["asymmetry_outline_short_axis"]) > 0.1  # type: ignore[type-var]


def test_two_colours_side_by_side_are_asymmetric_in_colour_alone() -> None:
    mask = disc()
    pixels = painted(mask)
    pixels[mask & (np.mgrid[:128, :128][1] > 64)] = (60, 30, 20)
    found = of(pixels, mask)
    assert found["asymmetry_outline_short_axis"] < 0.02  # type: ignore[operator]
    assert max(found["asymmetry_colour_long_axis"], found["asymmetry_colour_short_axis"]) > 10  # type: ignore[type-var]


def test_a_sharp_border_is_abrupt_all_round_and_a_soft_one_nowhere() -> None:
    mask = disc()
    sharp = painted(mask)
    soft = np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(14)))
    assert of(sharp, mask)["border_abrupt_sectors"] == 8
    assert of(soft, mask)["border_abrupt_sectors"] == 0


def test_the_perimeter_of_a_disc_and_of_a_square() -> None:
    assert perimeter(disc(40)) == pytest.approx(2 * np.pi * 40, rel=0.03)
    assert of(painted(disc(40)), disc(40))["border_compactness"] == pytest.approx(1, abs=0.06)
    star = disc(40) & (np.cos(9 * np.arctan2(*(np.mgrid[:128, :128] - 64.0))) > -0.3)
    assert of(painted(star), star)["border_compactness"] > 1.8  # type: ignore[operator]


@pytest.mark.parametrize("name", REFERENCES)
def test_each_reference_colour_is_counted_as_itself(name: str) -> None:
    found = of(painted(disc(), REFERENCES[name]), disc())
    assert found["colour_count"] == 1
    assert found[f"colour_{name}"] == 1


def test_white_counts_only_where_it_is_lighter_than_the_skin() -> None:
    found = of(painted(disc(), (240, 240, 240), (250, 250, 250)), disc())
    assert (found["colour_white"], found["colour_count"]) == (0, 0)


def test_a_diameter_is_in_millimetres_only_where_the_scale_is_given() -> None:
    mask = disc(40)
    bare, scaled = of(painted(mask), mask), of(painted(mask), mask, 0.05)
    assert bare["diameter_pixels"] == pytest.approx(81, abs=1.5)
    assert (bare["diameter_mm"], bare["area_mm2"]) == (None, None)
    assert scaled["diameter_mm"] == pytest.approx(0.05 * bare["diameter_pixels"])  # type: ignore[operator]
    assert scaled["area_mm2"] == pytest.approx(0.0025 * mask.sum())


def test_a_bluish_half_is_half_of_the_lesion() -> None:
    mask = disc()
    pixels = painted(mask)
    pixels[mask & (np.mgrid[:128, :128][0] >= 64)] = (80, 90, 120)
    found = of(pixels, mask)
    assert found["bluish_share"] == pytest.approx(0.5, abs=0.02)
    assert found["paler_share"] == 0


def test_without_skin_around_what_is_measured_against_skin_is_missing() -> None:
    mask = np.ones((64, 64), np.bool_)
    found = of(np.full((64, 64, 3), 90, np.uint8), mask)
    for name in ("bluish_share", "paler_share", "colour_white", "colour_count", "border_abrupt_sectors"):
        assert found[name] is None, name


@pytest.mark.parametrize("place", [(0, 0), (5, 9), (63, 63)])
def test_a_lesion_of_one_pixel_is_measured(place: tuple[int, int]) -> None:
    mask = np.zeros((64, 64), np.bool_)
    mask[place] = True
    found = of(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), mask)
    assert found["area_pixels"] == 1
    assert found["diameter_pixels"] == pytest.approx(2**0.5, abs=0.01)


def test_turning_picture_and_mask_turns_no_number() -> None:
    rng = np.random.default_rng(3)
    mask = disc(30, 60, 70) | disc(18, 90, 50)
    pixels = np.asarray(
        Image.fromarray(painted(mask)).filter(ImageFilter.GaussianBlur(2)), np.int64
    ) + rng.integers(-4, 5, (128, 128, 3))
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    straight, turned = of(pixels, mask), of(np.rot90(pixels).copy(), np.rot90(mask).copy())
    for name, value in straight.items():
        if value is not None and name != "border_abrupt_sectors":
            assert turned[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_an_input_error(scale: float) -> None:
    with pytest.raises(InputError, match="mm_per_pixel must be a number above 0"):
        of(painted(disc()), disc(), scale)


@pytest.mark.parametrize(
    "mask", [np.zeros((128, 128), np.bool_), np.ones((64, 128), np.bool_), np.ones((128, 128))]
)
def test_an_empty_mask_and_one_of_another_shape_or_type_are_input_errors(mask: Any) -> None:
    with pytest.raises(InputError, match="mask"):
        of(painted(disc()), mask)


@pytest.mark.parametrize("answer", [{"a": float("nan")}, {"a": "much"}, {1: 1.0}, 3.0, {"area_pixels": 1.0}])
def test_a_stranger_s_numbers_are_finite_named_and_its_own(answer: Any) -> None:
    mine = FeatureSpec("mine", "Mine", lambda: lambda pixels, mask, scale: answer)
    with pytest.raises(PluginContractError, match="'mine'"):
        measured(painted(disc()), disc(), [*FEATURES, mine])


def test_framing_tells_of_the_edge_and_of_hair() -> None:
    mask = disc(40, 10, 64)
    found = of(painted(mask), mask)
    assert found["edge_share"] == pytest.approx(mask[:, 0].sum() / (4 * 127))
    assert found["lesion_share"] == pytest.approx(mask.mean())
    assert found["hair_share"] == 0
    hairy = painted(mask)
    hairy[60:62] = 20
    assert 0.02 < of(hairy, mask)["hair_share"] < 0.15  # type: ignore[operator]
