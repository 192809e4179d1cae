"""Is the share of a map inside a mask what a count of its cells gives?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core.errors import InputError
from modalities.cnn.attribution import Attribution
from modalities.cnn.inside import inside


def a_map(values: Any, frame: tuple[float, float, float, float] = (20, 0, 100, 80)) -> Attribution:
    return Attribution(
        np.zeros((80, 120, 3), np.uint8), frame, np.asarray(values, float), "n", 0.5, "occlusion"
    )


def test_a_map_that_knows_nothing_has_the_lesion_s_share_of_the_view() -> None:
    mask = np.zeros((80, 120), np.bool_)
    mask[:40, 20:60] = True
    found = inside(a_map(np.ones((8, 8))), mask)
    assert (found.share, found.area, found.ratio) == (
        pytest.approx(0.25),
        pytest.approx(0.25),
        pytest.approx(1),
    )


def test_both_signs_count_and_a_mask_of_another_size_is_scaled() -> None:
    values = np.zeros((8, 8))
    values[0, 0], values[7, 7], values[1, 1] = 3, -1, -2
    mask = np.zeros((160, 240), np.bool_)
    mask[:80, 40:120] = True
    assert inside(a_map(values), mask).share == pytest.approx(5 / 6)


def test_what_lies_outside_the_net_s_view_does_not_count() -> None:
    mask = np.zeros((80, 120), np.bool_)
    mask[:, :20] = True
    found = inside(a_map(np.ones((8, 8))), mask)
    assert (found.share, found.area, found.ratio) == (0, 0, None)


def test_a_map_of_nothing_has_no_share() -> None:
    assert inside(a_map(np.zeros((8, 8))), np.ones((80, 120), np.bool_)).share is None


def test_a_mask_of_other_proportions_is_an_input_error() -> None:
    with pytest.raises(InputError, match="other proportions"):
        inside(a_map(np.ones((8, 8))), np.ones((80, 80), np.bool_))
