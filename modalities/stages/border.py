"""How does the lesion end? The B of the ABCD rule.

Stolz et al. (European Journal of Dermatology 4:521, 1994) count, of eight sectors, those in which the pigment
ends abruptly. Abrupt is here a step of colour over a thin band across the outline; the step from which it
counts is this project's own, see `ABRUPT`, and no reader's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modalities.stages.arrays import lab_of
from plugins.specs import Mask, Pixels

SECTORS = 8
ABRUPT = 15.0
"""Distance in CIE L*a*b* across the band from which a sector counts: some six just noticeable differences."""
BAND = 0.05
"""Of the radius of a disc of the lesion's area, how far on either side of the outline is looked at."""


def border(pixels: Pixels, mask: Mask, mm_per_pixel: float | None) -> Mapping[str, float | None]:  # noqa: ARG001
    """Abrupt sectors, 0 to 8; the mean step of colour; and how far the outline is from a circle.

    `border_compactness` is perimeter ** 2 / (4 pi area), 1 for a disc, the perimeter by Crofton's formula in
    four directions; `border_roughness` the deviation of the outline's distance from the centroid over its
    mean. `None` where the band has no pixel on one side, as for a lesion that fills the picture.
    """
    from scipy.ndimage import distance_transform_edt

    area = int(mask.sum())
    framed = np.pad(mask, 1)
    inner = distance_transform_edt(framed)[1:-1, 1:-1]
    outer = distance_transform_edt(~mask) if area < mask.size else np.full(mask.shape, np.inf)
    reach = max(2.0, BAND * np.sqrt(area / np.pi))
    y, x = np.nonzero(mask)
    rows, columns = np.indices(mask.shape)
    angle = np.arctan2(rows - y.mean(), columns - x.mean())
    sector = np.floor((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    lab = lab_of(pixels)
    steps = []
    for k in range(SECTORS):
        here = sector == k
        within, without = (lab[here & (d > 0) & (d <= reach)] for d in (inner, outer))
        if len(within) and len(without):
            steps.append(float(np.sqrt(((within.mean(axis=0) - without.mean(axis=0)) ** 2).sum())))
    edge = mask & (inner <= 1)
    away = np.hypot(*(p - m for p, m in zip(np.nonzero(edge), (y.mean(), x.mean()), strict=True)))
    whole = len(steps) == SECTORS
    return {
        "border_abrupt_sectors": float(sum(s >= ABRUPT for s in steps)) if whole else None,
        "border_step": float(np.mean(steps)) if steps else None,
        "border_compactness": perimeter(mask) ** 2 / (4 * np.pi * area),
        "border_roughness": float(away.std() / away.mean()) if away.mean() > 0 else None,
    }


def perimeter(mask: Mask) -> float:
    """Length of the outline in pixels: Crofton's formula over rows, columns and both diagonals."""
    framed = np.pad(mask, 1).astype(np.int8)
    straight = (np.abs(np.diff(framed, axis=0)).sum(), np.abs(np.diff(framed, axis=1)).sum())
    sloping = (
        np.abs(framed[1:, 1:] - framed[:-1, :-1]).sum(),
        np.abs(framed[1:, :-1] - framed[:-1, 1:]).sum(),
    )
    return float(np.pi / 8 * (sum(straight) + sum(sloping) / np.sqrt(2)))
