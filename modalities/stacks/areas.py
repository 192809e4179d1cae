"""What is the mean of a picture over each cell of a coarser or shifted grid?"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def area_mean(values: npt.NDArray[Any], rows: Array, columns: Array) -> Array:
    """Mean over cells whose edges are given in pixels of `values`, ... x height x width.

    `rows` and `columns` ascend; pixel i reaches from i to i + 1. ... x len(rows) - 1 x len(columns) - 1; NaN
    for a cell outside the picture, and for one at its edge the mean of the part inside.
    """
    return _along(_along(values.astype(np.float64), rows, -2), columns, -1)


def _along(values: Array, edges: Array, axis: int) -> Array:
    length = values.shape[axis]
    inside = np.clip(edges, 0, length)
    summed = np.concatenate([np.zeros_like(values.take([0], axis)), np.cumsum(values, axis)], axis)
    low = np.minimum(inside.astype(np.intp), length - 1)
    shape = [1] * values.ndim
    shape[axis] = -1
    share = (inside - low).reshape(shape)
    at_edges = summed.take(low, axis) * (1 - share) + summed.take(low + 1, axis) * share
    widths = np.diff(inside)
    widths = np.where(widths > 1e-9, widths, np.nan).reshape(shape)
    means: Array = np.diff(at_edges, axis=axis) / widths
    return means
