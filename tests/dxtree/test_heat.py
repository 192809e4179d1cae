"""Is a map drawn where it belongs, in colours that mean what they say?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.tree import FloatArray
from dxtree.heat import AGAINST, FOR, LONGEST, UNSEEN, UNSEEN_ALPHA, draw
from modalities.cnn.attribution import Attribution


def mapped(
    values: FloatArray,
    method: str = "occlusion",
    size: tuple[int, int] = (100, 60),
    frame: tuple[float, float, float, float] = (20.0, 0.0, 80.0, 60.0),
) -> Attribution:
    picture = np.full((size[1], size[0], 3), 128, np.uint8)
    return Attribution(picture, frame, values, "Malignant", 0.5, method)


def test_what_speaks_for_is_yellow_what_speaks_against_is_blue_and_what_is_unseen_is_grey() -> None:
    heat = draw(mapped(np.array([[1.0, -1.0], [0.0, 0.5]])))
    assert heat.picture.size == heat.colours.size == (100, 60)
    colours = np.asarray(heat.colours)
    assert tuple(colours[5, 25]) == (*FOR, 255)
    assert tuple(colours[5, 75]) == (*AGAINST, 255)
    assert colours[55, 25, 3] == 0
    assert colours[55, 75, 3] == pytest.approx(128, abs=1)
    assert tuple(colours[30, 5]) == tuple(colours[30, 95]) == (*UNSEEN, UNSEEN_ALPHA)


def test_a_map_of_nothing_has_no_colour() -> None:
    assert not np.asarray(draw(mapped(np.zeros((9, 9)))).colours)[:, 20:80, 3].any()


def test_neighbours_of_opposite_signs_cancel_and_those_of_one_do_not() -> None:
    board = np.indices((96, 96)).sum(axis=0) % 2 * 2.0 - 1
    board[:6, :6] = 1
    alpha = np.asarray(draw(mapped(board, "integrated-gradients")).colours)[..., 3]
    assert alpha[1, 21] == 255
    assert alpha[40, 60] == 0
    assert np.asarray(draw(mapped(np.abs(board), "saliency")).colours)[40, 60, 3] == 255


def test_one_hot_pixel_does_not_hide_the_rest() -> None:
    values = np.ones((96, 96))
    values[50, 50] = 1e6
    alpha = np.asarray(draw(mapped(values, "saliency")).colours)[:, 20:80, 3]
    assert np.median(alpha) == 255


def test_laid_flat_it_is_one_picture_in_which_an_opacity_of_nothing_shows_nothing() -> None:
    heat = draw(mapped(np.ones((3, 3))))
    assert heat.flat().mode == "RGB"
    assert np.array_equal(np.asarray(heat.flat(0.0)), np.asarray(heat.picture))
    assert heat.flat(1.0).getpixel((50, 30)) == FOR


@settings(max_examples=20, deadline=None)
@given(st.integers(64, 3000), st.integers(64, 3000), st.sampled_from([2, 7, 31, 33, 96, 299]))
def test_any_picture_and_map_make_layers_of_one_bounded_size(width: int, height: int, cells: int) -> None:
    side = float(min(width, height))
    frame = ((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)
    picture = np.broadcast_to(np.uint8(9), (height, width, 3)).copy()
    heat = draw(Attribution(picture, frame, np.ones((cells, cells)), "n", 0.5, "saliency"))
    assert heat.picture.size == heat.colours.size
    assert max(heat.picture.size) == min(LONGEST, max(width, height))
