"""Which colours has the lesion? The C of the ABCD rule.

Stolz et al. (European Journal of Dermatology 4:521, 1994) count white, red, light and dark brown, blue-grey
and black. Each pixel goes to the nearest of six reference colours in CIE L*a*b*; the references are those of
Kasmi and Mokrani (IET Image Processing 10:448, 2016). White counts only where it is lighter than the skin
around, as Stolz has it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from modalities.stages.arrays import lab_of
from plugins.specs import Mask, Pixels

REFERENCES = {
    "white": (255, 255, 255),
    "red": (204, 51, 51),
    "light_brown": (153, 102, 0),
    "dark_brown": (51, 0, 0),
    "blue_grey": (51, 153, 153),
    "black": (0, 0, 0),
}
"""sRGB of each colour."""
PRESENT = 0.05
"""Share of the lesion from which a colour counts."""


def colours(pixels: Pixels, mask: Mask, mm_per_pixel: float | None) -> Mapping[str, float | None]:  # noqa: ARG001
    """How many of the six colours cover 5 % of the lesion or more, and the share of each, 0 to 1.

    Where there is no skin around, whether white is lighter than it is not known, and white and the number of
    colours are `None`.
    """
    lab = lab_of(pixels)
    references = lab_of(np.array(list(REFERENCES.values()), np.uint8))
    own = lab[mask]
    nearest = ((own[:, None] - references) ** 2).sum(axis=2).argmin(axis=1)
    is_white = nearest == list(REFERENCES).index("white")
    skin = lab[~mask]
    if len(skin):
        is_white &= own[:, 0] > np.median(skin[:, 0])
    shares: dict[str, float | None] = {
        name: float((nearest == k).mean()) for k, name in enumerate(REFERENCES)
    }
    shares["white"] = float(is_white.mean()) if len(skin) else None
    count = float(sum((share or 0) >= PRESENT for share in shares.values())) if len(skin) else None
    spread = own.std(axis=0)
    return {
        "colour_count": count,
        **{f"colour_{name}": share for name, share in shares.items()},
        "colour_spread": float(np.sqrt((spread**2).sum())),
    }
