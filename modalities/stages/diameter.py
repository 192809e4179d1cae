"""How large is the lesion? The D of the clinical ABCD rule (Friedman, Rigel and Kopf, CA 35:130, 1985).

Millimetres are given only where the scale of the picture is; no photograph tells it. The D of Stolz'
dermoscopic rule is another one: five structures, which a reader names.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plugins.specs import Mask, Pixels

DIRECTIONS = 90


def diameter(pixels: Pixels, mask: Mask, mm_per_pixel: float | None) -> Mapping[str, float | None]:  # noqa: ARG001
    """Largest extent over all directions (Feret) and area, in pixels and, with a scale, millimetres.

    `None` in millimetres without `mm_per_pixel`.
    """
    y, x = np.nonzero(mask)
    turn = np.arange(DIRECTIONS) * np.pi / DIRECTIONS
    along = np.stack([np.cos(turn), np.sin(turn)])
    ends = np.stack([x, y], axis=1) @ along
    # From pixel edge to pixel edge: a pixel is itself one wide along a row, and more along a diagonal.
    widest = float((np.ptp(ends, axis=0) + np.abs(along).sum(axis=0)).max())
    area = float(len(y))
    scale = mm_per_pixel
    return {
        "diameter_pixels": widest,
        "diameter_mm": None if scale is None else widest * scale,
        "area_pixels": area,
        "area_mm2": None if scale is None else area * scale**2,
    }
