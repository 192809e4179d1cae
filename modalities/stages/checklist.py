"""What of the 7-point checklist can be measured? Two colours that a criterion rests on, and no criterion.

Argenziano et al. (Archives of Dermatology 134:1563, 1998) score an atypical network, a blue-whitish veil and
atypical vessels by 2, and irregular streaks, pigmentation, dots or globules and regression structures by 1.
Whether one is there, a dermatologist says: `modalities.concepts` takes those answers. What is measured here
is the share of the lesion whose colour the veil and the scar of a regression have; much else has it too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modalities.stages.arrays import lab_of
from plugins.specs import Mask, Pixels


def checklist(pixels: Pixels, mask: Mask, mm_per_pixel: float | None) -> Mapping[str, float | None]:  # noqa: ARG001
    """Shares of the lesion, 0 to 1, that are bluish against the skin, and paler than it.

    Bluish: b* below that of the skin by 15 and below 5, and darker than the skin. Paler: L* above the skin's
    by 5 at no more colour. `None` where there is no skin around.
    """
    lab = lab_of(pixels)
    own, around = lab[mask], lab[~mask]
    if not len(around):
        return {"bluish_share": None, "paler_share": None}
    skin = np.median(around, axis=0)
    chroma = np.hypot(own[:, 1], own[:, 2])
    bluish = (own[:, 2] < min(skin[2] - 15, 5)) & (own[:, 0] < skin[0])
    paler = (own[:, 0] > skin[0] + 5) & (chroma <= np.hypot(skin[1], skin[2]))
    return {"bluish_share": float(bluish.mean()), "paler_share": float(paler.mean())}
