"""Is the mean over a cell the mean over what lies in it?"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modalities.stacks.areas import area_mean


def test_whole_blocks_have_their_plain_mean() -> None:
    values = np.random.default_rng(0).normal(size=(2, 12, 8))
    means = area_mean(values, np.linspace(0, 12, 4), np.linspace(0, 8, 3))
    np.testing.assert_allclose(means, values.reshape(2, 3, 4, 2, 4).mean((2, 4)))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 25), st.integers(1, 25), st.integers(0, 99))
def test_any_grid_over_the_whole_picture_keeps_the_sum(
    height: int, width: int, rows: int, columns: int, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(size=(height, width))
    means = area_mean(values, np.linspace(0, height, rows + 1), np.linspace(0, width, columns + 1))
    assert np.isclose(means.sum() * height / rows * width / columns, values.sum())


def test_a_cell_outside_is_nan_and_one_at_the_edge_the_mean_of_its_part_inside() -> None:
    means = area_mean(np.full((4, 4), 3.0), np.array([-4.0, -1, 1, 4, 6]), np.array([0.0, 4]))
    np.testing.assert_array_equal(means[:, 0], [np.nan, 3, 3, np.nan])
