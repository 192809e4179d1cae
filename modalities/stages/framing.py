"""Is the lesion all in the picture, large enough, and bare? What a reader of its features must know."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modalities.stages.hair import hairs
from plugins.specs import Mask, Pixels


def framing(pixels: Pixels, mask: Mask, mm_per_pixel: float | None) -> Mapping[str, float | None]:  # noqa: ARG001
    """Shares from 0 to 1: of the picture that is lesion, of the lesion under hair, of the edge in it.

    A lesion that the edge cuts has no whole outline: its asymmetry, border and diameter are those of a part.
    """
    edge = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
    return {
        "lesion_share": float(mask.mean()),
        "edge_share": float(edge.mean()),
        "hair_share": float(hairs(pixels)[mask].mean()),
    }
