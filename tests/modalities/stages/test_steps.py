"""Does each preprocessing step take away what it is for, and leave the rest?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from core.errors import ContractError, InputError, PluginContractError, PluginError
from modalities.stages import step_of, stepped
from modalities.stages.constancy import grey_world, light, max_rgb, shades_of_grey
from modalities.stages.hair import hairs, remove_hair
from modalities.stages.ink import ink, remove_ink
from modalities.stages.inpainting import fill
from modalities.stages.plugin import PREPROCESSORS
from modalities.stages.ruler import remove_ruler, ticks
from modalities.stages.vignette import circle, outside, remove_vignette
from plugins import PreprocessorSpec

HAIRS = [(10, 20, 290, 90), (30, 230, 200, 15), (0, 150, 299, 160)]
NAMES = [spec.name for spec in PREPROCESSORS]


def test_dark_hairs_are_found_and_what_lies_under_them_comes_back(
    lesion: Any, over: Callable[..., Any]
) -> None:
    hairy, truth = over(lesion, HAIRS, (40, 30, 26), 2)
    found = hairs(hairy)
    assert found[truth].mean() > 0.9
    assert found[~truth].mean() < 0.06
    bare = remove_hair(hairy)
    off = np.abs(bare.astype(int) - lesion).mean(axis=2)
    assert off[truth].mean() < 0.15 * np.abs(hairy.astype(int) - lesion).mean(axis=2)[truth].mean()
    assert (bare[~found] == hairy[~found]).all()


def test_a_lesion_without_hair_is_left_as_it_is(lesion: Any) -> None:
    assert not hairs(lesion).any()
    assert (remove_hair(lesion) == lesion).all()


def test_short_dark_dots_are_no_hair(lesion: Any, over: Callable[..., Any]) -> None:
    dotted, _ = over(lesion, [(40 + 30 * k, 40, 46 + 30 * k, 44) for k in range(8)], (40, 30, 26), 3)
    assert not hairs(dotted).any()


def test_filling_keeps_every_pixel_that_is_seen_and_continues_a_slope() -> None:
    slope = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None], (100, 80, 3)).copy()
    hidden = np.zeros((100, 80), np.bool_)
    hidden[40:46, 10:70] = True
    broken = slope.copy()
    broken[hidden] = 255
    filled = fill(broken, hidden)
    assert (filled[~hidden] == slope[~hidden]).all()
    assert np.abs(filled.astype(int) - slope)[hidden].max() <= 3


@pytest.mark.parametrize("hidden", [np.zeros((64, 64), np.bool_), np.ones((64, 64), np.bool_)])
def test_nothing_or_all_hidden_is_filled_with_nothing(hidden: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert (fill(pixels, hidden) == pixels).all()


@pytest.mark.parametrize("whiten", [grey_world, shades_of_grey, max_rgb])
def test_a_tinted_light_is_taken_out(lesion: Any, whiten: Callable[[Any], Any]) -> None:
    tinted = np.round(lesion * np.array([1.0, 0.85, 0.7])).astype(np.uint8)
    there, here, before = (p / p.mean() for p in (whiten(lesion), whiten(tinted), tinted))
    assert np.abs(here - there).mean() < 0.01
    assert np.abs(before - there).mean() > 0.1


def test_the_light_is_the_minkowski_mean_of_each_channel() -> None:
    pixels = np.random.default_rng(1).integers(1, 256, (20, 30, 3), np.uint8)
    mean = ((pixels / 255) ** 6).reshape(-1, 3).mean(axis=0) ** (1 / 6)
    assert light(pixels, 6) == pytest.approx(mean / np.sqrt((mean**2).mean()))
    assert (light(pixels, 6) ** 2).mean() == pytest.approx(1)


def test_a_channel_that_is_black_throughout_tells_of_no_light(lesion: Any) -> None:
    blind = lesion * np.array([1, 1, 0], np.uint8)
    assert (shades_of_grey(blind) == blind).all()
    assert (max_rgb(np.zeros((64, 64, 3), np.uint8)) == 0).all()


@pytest.mark.parametrize("colour", [(90, 50, 160), (40, 90, 190), (30, 140, 90)])
def test_pen_strokes_are_found_and_painted_over(lesion: Any, over: Callable[..., Any], colour: Any) -> None:
    drawn, truth = over(lesion, [(20, 20, 120, 30), (200, 200, 280, 190)], colour, 5)
    found = ink(drawn)
    assert found[truth].mean() > 0.95
    assert found[~truth].mean() < 0.02
    assert np.abs(remove_ink(drawn).astype(int) - lesion)[truth].mean() < 12


def test_a_pale_veil_is_no_ink(lesion: Any) -> None:
    veiled = lesion.copy()
    veiled[100:140, 130:170] = (118, 124, 142)
    assert not ink(veiled).any()


def test_a_ruler_s_ticks_are_found_and_painted_over(lesion: Any, over: Callable[..., Any]) -> None:
    lines = [(20 + 12 * k, 228, 20 + 12 * k, 212 if k % 5 else 204) for k in range(20)]
    ruled, truth = over(lesion, lines, (30, 30, 30), 2)
    found = ticks(ruled)
    assert found[truth].mean() > 0.9
    assert found[~truth].mean() < 0.03
    assert np.abs(remove_ruler(ruled).astype(int) - lesion)[truth].mean() < 15


def test_hairs_are_no_ruler(lesion: Any, over: Callable[..., Any]) -> None:
    rng = np.random.default_rng(2)
    lines = [tuple(rng.uniform(0, 240, 2).repeat(2) + rng.normal(0, 12, 4)) for _ in range(25)]
    hairy, _ = over(lesion, lines, (40, 30, 26), 2)
    assert not ticks(hairy).any()


def test_ticks_at_uneven_steps_are_no_ruler(lesion: Any, over: Callable[..., Any]) -> None:
    places = np.cumsum([9, 16, 12, 27, 10, 21, 15, 31, 11, 19])
    uneven, _ = over(lesion, [(p, 228, p, 212) for p in places.tolist()], (30, 30, 30), 2)
    assert not ticks(uneven).any()


def vignetted(pixels: Any, radius: float) -> tuple[Any, Any]:
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    dark = np.hypot(x - 150, y - 120) > radius
    return np.where(dark[..., None], 6, pixels).astype(np.uint8), dark


def test_the_dark_corners_of_a_dermatoscope_are_found_and_filled(lesion: Any) -> None:
    seen, dark = vignetted(lesion, 130)
    found = outside(seen)
    assert found[dark].all()
    assert found[~dark].mean() < 0.1
    assert np.abs(remove_vignette(seen).astype(int) - lesion)[dark].mean() < 12


def test_a_dark_lesion_in_a_corner_is_no_vignette(lesion: Any) -> None:
    dark = lesion.copy()
    dark[:70, :110] = 25
    assert not outside(dark).any()
    assert not outside(np.zeros((80, 80, 3), np.uint8)).any()


def test_a_circle_is_found_from_a_part_of_it() -> None:
    turn = np.linspace(0.2, 1.5, 40)
    x, y = 30 + 50 * np.cos(turn), -12 + 50 * np.sin(turn)
    assert circle(x, y) == pytest.approx((30, -12, 50, 0), abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_picture_keeps_type_and_shape_and_is_not_changed(name: str, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3)))
    pixels = data.draw(arrays(np.uint8, shape, elements=st.integers(0, 255)))
    before = pixels.copy()
    found = stepped(pixels, [step_of(name)])
    assert (found.dtype, found.shape) == (np.uint8, pixels.shape)
    assert (pixels == before).all()


def test_an_unknown_step_names_the_nearest() -> None:
    with pytest.raises(ContractError, match=r"no preprocessing step 'hiar'; there are .*did you mean 'hair'"):
        step_of("hiar")


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_an_input_error(pixels: Any) -> None:
    with pytest.raises(InputError, match="uint8, height x width x 3"):
        stepped(pixels, [step_of("hair")])


def a_step(answer: Callable[[Any], Any]) -> PreprocessorSpec:
    return PreprocessorSpec("mine", "Mine", lambda: answer)


@pytest.mark.parametrize(
    ("answer", "fault", "told"),
    [
        (lambda p: p[1:], PluginContractError, r"'mine' answered uint8 \(239, 300, 3\), not uint8"),
        (lambda p: p / 255, PluginContractError, "'mine' answered float64"),
        (lambda p: None, PluginContractError, "'mine' answered NoneType"),
        (lambda p: 1 / 0, PluginError, "'mine' raised ZeroDivisionError"),
        (lambda p: p.fill(0), PluginError, "'mine' raised ValueError"),
    ],
)
def test_a_stranger_s_fault_bears_its_step_s_name(lesion: Any, answer: Any, fault: Any, told: str) -> None:
    with pytest.raises(fault, match=told):
        stepped(lesion, [a_step(answer)])
    assert lesion.any()
