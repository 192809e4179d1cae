"""Is one half of the lesion like the other? The A of the ABCD rule.

Stolz et al. (European Journal of Dermatology 4:521, 1994) fold a lesion about two axes at right angles, set
for the least asymmetry, and count the axes with asymmetry in outline, colour or structure. Here the axes are
the principal ones of the outline, and what the fold leaves over is given as a share, not as a count: the
count needs the reader's eye.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modalities.stages.arrays import Field, lab_of
from plugins.specs import Mask, Pixels


def asymmetry(pixels: Pixels, mask: Mask, mm_per_pixel: float | None) -> Mapping[str, float | None]:  # noqa: ARG001
    """Outline: the share of the lesion without a counterpart, 0 to 1, about the long and the short axis.

    Colour: the mean distance in CIE L*a*b* of pixels from their counterparts, where both are inside.
    """
    from scipy.ndimage import map_coordinates

    y, x = np.nonzero(mask)
    middle = np.array([y.mean(), x.mean()])
    off = np.stack([y - middle[0], x - middle[1]])
    _, axes = np.linalg.eigh(off @ off.T / len(y))
    lab = lab_of(pixels)
    found: dict[str, float | None] = {}
    for name, axis in (("long", axes[:, 1]), ("short", axes[:, 0])):
        normal = np.array([-axis[1], axis[0]])
        there = off - 2 * normal[:, None] * (normal @ off) + middle[:, None]
        partner = map_coordinates(mask.astype(np.float32), there, order=1, mode="constant") > 0.5
        found[f"asymmetry_outline_{name}_axis"] = 1 - float(partner.mean())
        found[f"asymmetry_colour_{name}_axis"] = _colour(lab, (y, x), there, partner)
    return found


def _colour(
    lab: Field, here: tuple[np.ndarray, np.ndarray], there: np.ndarray, partner: Mask
) -> float | None:
    from scipy.ndimage import map_coordinates

    if not partner.any():
        return None
    own = lab[here][partner]
    other = np.stack(
        [map_coordinates(lab[..., c], there[:, partner], order=1, mode="nearest") for c in range(3)], axis=1
    )
    return float(np.sqrt(((own - other) ** 2).sum(axis=1)).mean())
