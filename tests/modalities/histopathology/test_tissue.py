"""Is tissue told from glass, and are tiles chosen evenly and alike each time?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from core.errors import EmptyInput
from modalities.histopathology.simulate import draw_section
from modalities.histopathology.tissue import choose_tiles, otsu, saturation, tissue_mask


def test_otsus_threshold_lies_between_two_groups() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.1, 0.02, 3000), rng.normal(0.5, 0.05, 1000)]).astype(np.float32)
    assert 0.2 < otsu(values.clip(0, 1)) < 0.4


def test_saturation_is_that_of_hsv() -> None:
    import colorsys

    pixels = np.random.default_rng(1).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    pixels[0, 0] = 0
    expected = [[colorsys.rgb_to_hsv(*(int(c) / 255 for c in p))[1] for p in row] for row in pixels]
    np.testing.assert_allclose(saturation(pixels), expected, atol=1e-6)


def test_the_mask_is_the_drawn_tissue() -> None:
    slide = draw_section("nevus", np.random.default_rng(3))
    found = tissue_mask(slide.pixels)
    both = (found & slide.tissue).sum() / (found | slide.tissue).sum()
    assert both > 0.85  # the gaps between bundles are clear glass to any eye
    assert (found & ~slide.tissue).sum() < 0.01 * found.size


@settings(max_examples=60, deadline=None)
@given(
    npst.arrays(bool, st.tuples(st.integers(4, 40), st.integers(4, 40))),
    st.floats(1.3, 9),
    st.floats(1.3, 9),
    st.integers(1, 16),
)
def test_tiles_lie_on_the_slide_are_distinct_and_hold_tissue(
    mask: np.ndarray, high: float, wide: float, most: int
) -> None:
    if mask.shape[0] < high or mask.shape[1] < wide:
        with pytest.raises(EmptyInput):
            choose_tiles(mask, (high, wide), most)
        return
    try:
        tiles, candidates = choose_tiles(mask, (high, wide), most)
    except EmptyInput:
        rows, columns = int(mask.shape[0] / high), int(mask.shape[1] / wide)
        assert not mask[: int(rows * high), : int(columns * wide)].any()
        return
    assert tiles == choose_tiles(mask, (high, wide), most)[0]
    assert len(set(tiles)) == len(tiles) == min(most, candidates)
    for tile in tiles:
        assert (tile.row + 1) * high <= mask.shape[0] + 1e-4
        assert (tile.column + 1) * wide <= mask.shape[1] + 1e-4
        top, left = int(tile.row * high), int(tile.column * wide)
        assert mask[top : round((tile.row + 1) * high) + 1, left : round((tile.column + 1) * wide) + 1].any()


def test_tiles_are_spread_over_the_tissue() -> None:
    tiles, candidates = choose_tiles(np.ones((64, 64), bool), (4, 4), 16)
    assert candidates == 256
    quarters = {(tile.row // 8, tile.column // 8) for tile in tiles}
    assert len(quarters) == 4
    assert all(sum((t.row // 8, t.column // 8) == q for t in tiles) == 4 for q in quarters)


def test_a_sliver_of_tissue_still_gives_the_tile_that_holds_most() -> None:
    mask = np.zeros((40, 40), bool)
    mask[21, 12:15] = True
    tiles, candidates = choose_tiles(mask, (10, 10), 8)
    assert [(t.row, t.column) for t in tiles] == [(2, 1)]
    assert candidates == 1
