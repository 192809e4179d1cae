"""Is the lesion found, and never where none is?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from core.errors import PluginContractError
from modalities.stages import outlined
from modalities.stages.crop import box, crop
from modalities.stages.plugin import SEGMENTERS
from modalities.stages.segmentation import otsu, overlap, threshold, two_means
from plugins import SegmenterSpec

both = pytest.mark.parametrize("segment", [otsu, two_means])


@both
def test_a_round_lesion_is_outlined(segment: Callable[[Any], Any], lesion: Any, lesion_mask: Any) -> None:
    assert overlap(segment(lesion), lesion_mask) > 0.93


@both
def test_neither_hair_nor_slanted_light_nor_dark_corners_move_the_outline(
    segment: Callable[[Any], Any], lesion: Any, lesion_mask: Any, over: Callable[..., Any]
) -> None:
    hairy, _ = over(lesion, [(0, 60, 299, 120), (80, 0, 200, 239)], (40, 30, 26), 2)
    y, x = np.mgrid[:240, :300]
    slanted = hairy * np.linspace(0.75, 1.1, 300)[None, :, None]
    slanted[np.hypot(x - 150, y - 120) > 140] = 4
    assert overlap(segment(np.clip(slanted, 0, 255).astype(np.uint8)), lesion_mask) > 0.85


@both
def test_bare_skin_has_no_lesion(segment: Callable[[Any], Any]) -> None:
    bare = np.random.default_rng(0).normal((214, 168, 146), 3, (120, 160, 3)).astype(np.uint8)
    assert not segment(bare).any()


@pytest.mark.parametrize("spec", SEGMENTERS, ids=lambda s: s.name)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_picture_has_a_mask_of_its_shape(spec: SegmenterSpec, data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 60), st.integers(1, 60), st.just(3)))
    mask = outlined(data.draw(arrays(np.uint8, shape)), spec)
    assert (mask.dtype, mask.shape) == (np.bool_, shape[:2])


def test_the_threshold_parts_two_heaps() -> None:
    rng = np.random.default_rng(0)
    heaps = np.concatenate([rng.normal(5, 1, 900), rng.normal(20, 1, 100)]).astype(np.float32)
    assert 7.5 < threshold(np.maximum(heaps, 0)) < 17


def test_overlap_is_intersection_over_union() -> None:
    one, other = np.zeros((2, 10, 10), np.bool_)
    assert overlap(one, other) == 1
    one[:6], other[3:9] = True, True
    assert overlap(one, other) == pytest.approx(3 / 9)


def test_a_mask_of_another_shape_is_named(lesion: Any) -> None:
    with pytest.raises(PluginContractError, match="segmenter 'mine' answered float64"):
        outlined(lesion, SegmenterSpec("mine", "Mine", lambda: lambda p: p[..., 0] / 255))


def test_the_cut_is_of_the_picture_s_proportions_around_the_lesion() -> None:
    mask = np.zeros((200, 300), np.bool_)
    mask[20:60, 200:260] = True
    left, top, right, bottom = box(mask)
    assert (right - left) / (bottom - top) == pytest.approx(1.5)
    assert 0 <= left < 200 - 10
    assert 260 + 10 < right <= 300
    assert (top + bottom) / 2 == pytest.approx(40)
    assert box(np.roll(mask, -20, axis=0))[1] == 0
    assert box(np.zeros_like(mask)) == box(np.ones_like(mask)) == (0, 0, 300, 200)


def test_a_cropped_lesion_fills_more_of_the_picture_and_bare_skin_stays(lesion: Any) -> None:
    small = np.asarray(Image.fromarray(lesion).resize((150, 120)))
    placed = np.full((240, 300, 3), (214, 168, 146), np.uint8)
    placed[20:140, 10:160] = small
    assert otsu(crop(placed)).mean() > 3 * otsu(placed).mean() > 0
    bare = np.full((120, 160, 3), (214, 168, 146), np.uint8)
    assert np.array_equal(crop(bare), bare)
