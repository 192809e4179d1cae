"""Are a volume's numbers intensities or their logarithm, and how does either become intensity?

No format says. Speckle does: of intensities its spread is in proportion to the mean, of their logarithm it is
the same everywhere: 5.57 dB where one B-scan is shown, less where several were averaged. How many is told by
the skewness of the logarithm, which is that of a log-gamma distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter
from scipy.special import polygamma

Array = npt.NDArray[np.float64]

LOOKS = np.geomspace(1, 16, 49)
SPECKLE_DB = 10 / np.log(10) * np.sqrt(polygamma(1, LOOKS))
"""Standard deviation in decibels of the mean of so many exponentially distributed intensities."""
SKEWNESS = polygamma(2, LOOKS) / polygamma(1, LOOKS) ** 1.5
"""Of its logarithm, rising from -1.14 towards 0."""
USUAL_RANGE_DB = 60.0
"""Taken for all of the file's range where speckle does not tell, which is noted."""

_WINDOW = (5, 15)
_LEAST_WINDOWS = 200
_PROPORTIONAL = 0.5
_EVEN = 1.4
"""Windows with more than this share of the typical spread hold an edge."""
_DILUTED = 0.77
"""What structure within windows and clipping leave of the skewness, in simulated volumes of 1 to 6 looks."""


@dataclass(frozen=True)
class Scale:
    """`levels_per_db` of logarithmic numbers, `None` of intensities; and what was taken for granted."""

    levels_per_db: float | None
    notes: tuple[str, ...] = ()

    def decibels(self, values: npt.NDArray[np.float32]) -> Array:
        """Of numbers of the file; of intensities, 0 stands where the smallest number above 0 would."""
        if self.levels_per_db is not None:
            return values.astype(np.float64) / self.levels_per_db
        above = values[values > 0]
        least = float(above.min()) if above.size else 1.0
        return 10 * np.log10(np.maximum(values.astype(np.float64), least))


def find_scale(planes: npt.NDArray[np.float32], bits: int | None) -> Scale:
    """The scale of slices x height x width, from the slope of log spread over log mean in small windows.

    About 1 for intensities, about 0 or below for their logarithm. Amplitudes, their square root, cannot be
    told from averaged intensities and are taken for those; then decibels are half of what they should be,
    which a net that sees standardised views hardly minds.
    """
    size = (1, *_WINDOW)
    base = planes.astype(np.float64) - min(0.0, float(planes.min()))
    mean = uniform_filter(base, size)
    spread = np.sqrt(np.maximum(uniform_filter(base**2, size) - mean**2, 0))
    inner = (slice(None), slice(None, None, _WINDOW[0]), slice(None, None, _WINDOW[1]))
    third = uniform_filter(base**3, size) - 3 * mean * spread**2 - mean**3
    mean, spread, third = mean[inner].ravel(), spread[inner].ravel(), third[inner].ravel()
    top = float(base.max())
    lit = (mean > np.median(mean)) & (mean > 1e-4 * top) & (spread > 1e-6 * top)
    if lit.sum() < min(_LEAST_WINDOWS, 0.2 * mean.size) or lit.sum() < 3:
        span = float(2**bits - 1) if bits else max(top, 1e-6)
        note = f"no speckle to tell the scale by; a range of {USUAL_RANGE_DB:g} dB was taken"
        return Scale(span / USUAL_RANGE_DB, (note,))
    x, y = np.log(mean[lit]), np.log(spread[lit])
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / max(float(((x - x.mean()) ** 2).sum()), 1e-12))
    if slope > _PROPORTIONAL:
        return Scale(None)
    typical = float(np.median(spread[lit]))
    even = lit & (spread < _EVEN * typical)
    skewness = third[even].mean() / (spread[even] ** 2).mean() ** 1.5 / _DILUTED
    return Scale(typical / float(np.interp(skewness, SKEWNESS, SPECKLE_DB)))
