"""How much of a map of one node lies inside the lesion? A check of what a net looks at, not of its answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import InputError
from modalities.cnn.attribution import Attribution


@dataclass(frozen=True)
class Inside:
    """Shares from 0 to 1: of the map's size that lies inside the mask, and of what the net sees.

    A map that knows nothing of the lesion has about the same share of both; `ratio` is the first over the
    second, `None` where the net sees nothing of the mask. A share of nothing, where the map is zero
    throughout, is `None` too.
    """

    share: float | None
    area: float

    @property
    def ratio(self) -> float | None:
        """How many times as dense the map is inside as over the whole."""
        return None if self.share is None or not self.area else self.share / self.area


def inside(found: Attribution, mask: npt.NDArray[np.bool_]) -> Inside:
    """Of a map and a mask over the same picture, whatever their sizes; of signed maps both signs count.

    Each cell counts by the part of it that the mask covers. Raises `InputError` for a mask of other
    proportions than the picture's.
    """
    from PIL import Image

    height, width = found.picture.shape[:2]
    # One pixel of either size is what rounding may put between two copies of a picture.
    off = abs(mask.shape[0] * width - mask.shape[1] * height)
    if mask.ndim != 2 or off > max(mask.shape[0], mask.shape[1], height, width):
        raise InputError(f"the mask is {mask.shape}, of other proportions than the picture's {height, width}")
    rows, columns = found.values.shape
    x, y = mask.shape[1] / width, mask.shape[0] / height
    left, top, right, bottom = found.frame
    box = (left * x, top * y, min(right * x, mask.shape[1]), min(bottom * y, mask.shape[0]))
    seen = Image.fromarray(mask.astype(np.float32)).resize((columns, rows), Image.Resampling.BOX, box)
    covered = np.clip(np.asarray(seen, np.float64), 0, 1)
    size = np.abs(found.values)
    whole = float(size.sum())
    return Inside(float((size * covered).sum()) / whole if whole else None, float(covered.mean()))
