"""How fast do echoes fade with depth, and how many grey levels is a decibel?

Attenuation in decibels is linear in depth and in frequency, and a scanner shows decibels, so what is lost is
a straight line of grey levels over depth. Its slope is read from the picture: neither the dynamic range nor
the time-gain curve stands in a file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter, uniform_filter1d

from modalities.stacks.stack import FloatArray

SPECKLE_DB = 5.57
"""Standard deviation of fully developed speckle in decibels, whatever its mean: 10 pi / (sqrt(6) ln 10);
Kaplan and Ma 1994, J Acoust Soc Am 95, 1396."""
STRONGEST = 0.4
"""dB per mm and MHz, one way, above which no skin attenuates: dermis has .22 (Omura et al. 2020, J Med
Ultrason 47, 25) and .1 (Lebertre et al. 2002, Ultrasound Med Biol 28, 599: 1.06 dB per cm and MHz)."""
USUAL_RANGE_DB = 60.0
"""Dynamic range taken where speckle does not tell it, which is noted."""

_LEAST_ROWS = 12
_ALIKE = 0.6
"""Share of the best rows' correlation between neighbouring columns, above which a row shows echoes."""


@dataclass(frozen=True)
class Gain:
    """What is to be added per row below the entry echo, in grey levels, up to the row where echoes end.

    `slope` is below 0 where the scanner's own gain did more than the skin took. `greys_per_db` is measured
    from speckle or, with a note, taken.
    """

    slope: float
    last_row: int
    greys_per_db: float
    notes: tuple[str, ...]

    def compensated(self, flat: FloatArray, margin: int) -> FloatArray:
        """A flattened plane with what its depth has lost; below the last row, where noise is, no more."""
        depth = np.clip(np.arange(len(flat)) - margin, 0, self.last_row)
        added: FloatArray = flat + (self.slope * depth).astype(np.float32)[:, None]
        return added


def greys_per_decibel(plane: FloatArray, highest: float) -> float | None:
    """Grey levels a decibel, from the spread of speckle in the evenest parts; `None` where it shows none.

    Averaging of frames or lines by the scanner makes speckle weaker and this number too small; then it is a
    scale of contrast in looks, which is what speckle reduction needs.
    """
    size = (max(5, plane.shape[0] // 18), max(7, plane.shape[1] // 10))
    mean, square = uniform_filter(plane, size), uniform_filter(plane.astype(np.float64) ** 2, size)
    spread = np.sqrt(np.maximum(square - mean.astype(np.float64) ** 2, 0))
    shown = (mean > 0.08 * highest) & (mean < 0.9 * highest) & (spread > 0.004 * highest)
    if shown.mean() < 0.02:
        return None
    return float(np.percentile(spread[shown], 60)) / SPECKLE_DB


def fit_gain(
    flats: list[FloatArray], margin: int, bits: int | None, row_um: float | None, frequency_mhz: float | None
) -> Gain:
    """One gain for all planes of a scan, as one setting recorded them; `flats` are `flattened`.

    The slope is the median over pairs of rows (Theil and Sen) that are .1 to .6 mm apart, or 2 to 12 % of the
    height where no size is known, of the means of the rows' middle half: the step between two layers enters
    few such pairs.
    A slope that no skin has at this frequency is limited to that of `STRONGEST`, and noted.
    """
    highest = 2.0 ** (bits or 8) - 1
    found = [g for flat in flats if (g := greys_per_decibel(_filled(flat), highest)) is not None]
    notes = [] if found else [f"no speckle to scale by; a dynamic range of {USUAL_RANGE_DB:g} dB was taken"]
    scale = float(np.median(found)) if found else highest / USUAL_RANGE_DB
    below = np.concatenate([flat[margin:] for flat in flats], axis=1)
    below = below[np.isfinite(below).all(axis=1)]
    last = _last_row(below)
    quarter = below.shape[1] // 4
    profile = np.sort(below, axis=1)[:, quarter : below.shape[1] - quarter].mean(axis=1)
    step = 0.1e3 / row_um if row_um else 0.02 * len(flats[0])
    slope = _median_slope(profile[: last + 1], max(1, round(step)), max(3, round(6 * step)))
    if slope is None:
        notes.append("too few echoes below the skin's surface; no loss with depth was compensated")
        return Gain(0.0, last, scale, tuple(notes))
    lost = -slope
    if row_um and frequency_mhz:
        most = 2 * STRONGEST * frequency_mhz * row_um / 1e3 * scale
        if lost > most:
            notes.append("echoes fade faster than any skin attenuates; compensated as far as skin does")
            lost = most
    else:
        notes.append("frequency or size is not known; the loss with depth was taken from the picture alone")
    return Gain(lost, last, scale, tuple(notes))


def _last_row(below: FloatArray) -> int:
    """The last row with echoes: speckle is as wide as the beam, and so alike in neighbouring columns; noise
    is not, and a black row is not either.
    """
    if below.shape[0] < 2 or below.shape[1] < 3:
        return 0
    centred = below - below.mean(axis=1, keepdims=True)
    together = uniform_filter1d((centred[:, 1:] * centred[:, :-1]).mean(axis=1), 9)
    alone = uniform_filter1d((centred**2).mean(axis=1), 9)
    alike = together / np.maximum(alone, 1e-6)
    lit = np.flatnonzero(alike > _ALIKE * np.percentile(alike, 90))
    return int(lit[-1]) if lit.size else 0


def _median_slope(profile: FloatArray, nearest: int, furthest: int) -> float | None:
    if len(profile) < max(_LEAST_ROWS, nearest + 2):
        return None
    pairs = [
        (profile[gap:] - profile[:-gap]) / gap for gap in range(nearest, min(furthest, len(profile) - 1) + 1)
    ]
    return float(np.median(np.concatenate(pairs)))


def _filled(flat: FloatArray) -> FloatArray:
    """The rows that lie in the picture in every column; all, NaN as 0, where none does."""
    whole = np.isfinite(flat).all(axis=1)
    return flat[whole] if whole.any() else np.nan_to_num(flat)
