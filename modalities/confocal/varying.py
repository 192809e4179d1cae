"""What might as well have been seen of the same lesion by a confocal microscope?"""

from __future__ import annotations

import numpy as np

from modalities.stacks.stack import FloatArray

SHIFT = 0.05
"""Of a view's side: 25 micrometres, about what a patient moves between planes."""


def vary(views: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Views turned by quarters and mirrored, all alike, as a plane along the surface has no up; each moved by
    up to `SHIFT`, what comes in at the edge being mirrored; and all a little brighter or darker.
    """
    most = round(SHIFT * views.shape[-1])
    wide = np.pad(views, ((0, 0), (0, 0), (most, most), (most, most)), mode="reflect")
    side = views.shape[-1]
    moved = np.empty_like(views)
    for one, source in zip(moved, wide, strict=True):
        top, left = rng.integers(0, 2 * most + 1, 2)
        one[:] = source[:, top : top + side, left : left + side]
    turned = np.rot90(moved, int(rng.integers(4)), axes=(2, 3))
    if rng.random() < 0.5:
        turned = turned[..., ::-1]
    light, offset = rng.uniform(0.85, 1.15), rng.normal(0, 0.1)
    return np.ascontiguousarray(turned * np.float32(light) + np.float32(offset))
