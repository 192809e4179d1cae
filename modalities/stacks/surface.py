"""Where does skin begin in each column of a slice through it?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter, median_filter

from modalities.stacks.stack import FloatArray

_BAND = 0.12
"""Share of the height within which the reflection of a probe's own membrane or glass ends."""


def surface_rows(plane: FloatArray) -> npt.NDArray[np.intp]:
    """Row of the first echo in each column of height x width; 0 where the picture begins in skin.

    `plane` is in decibels or grey levels in proportion to them. The first row that is brighter, after
    smoothing, than halfway between what lies above skin and bright skin; then a median over a twentieth of
    the width, as skin is smooth on that scale and hairs and bubbles are not. A bright band at the very top
    that a dark one follows is the probe's own membrane or glass and passed over.
    """
    height, width = plane.shape
    smooth = gaussian_filter(plane, (max(0.7, height / 200), max(1.0, width / 80)))
    dark, bright = np.percentile(smooth, 3), np.percentile(smooth, 95)
    above = smooth > (dark + bright) / 2
    above[: _membrane(above.mean(axis=1), height)] = False
    found = above.any(axis=0)
    if not found.any():
        return np.zeros(width, np.intp)
    columns = np.arange(width)
    rows = np.interp(columns, columns[found], above.argmax(axis=0)[found])
    steady = median_filter(rows, size=2 * (width // 40) + 1, mode="nearest")
    return np.asarray(np.rint(steady), np.intp)


def _membrane(share: npt.NDArray[np.float64], height: int) -> int:
    """Rows to pass over: those of a bright band at the top, if a dark one of some rows follows."""
    if share[0] < 0.5:
        return 0
    ends = np.flatnonzero(share < 0.2)
    if not ends.size or ends[0] > _BAND * height:
        return 0
    end = int(ends[0])
    return end if (share[end : end + max(3, height // 40)] < 0.2).all() else 0


def flattened(plane: FloatArray, rows: npt.NDArray[np.intp], margin: int) -> FloatArray:
    """The plane with the surface of every column on row `margin`; NaN outside the picture.

    `rows` as `surface_rows` gives them; height + margin x width.
    """
    height, width = plane.shape
    source = np.arange(height + margin)[:, None] + rows[None, :] - margin
    inside = (source >= 0) & (source < height)
    moved = plane[np.clip(source, 0, height - 1), np.arange(width)]
    flat: FloatArray = np.where(inside, moved, np.float32(np.nan))
    return flat
