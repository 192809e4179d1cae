"""What does the net see of a B-mode scan? Skin flattened, depth compensated, speckle reduced, to scale."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from modalities.stacks.areas import area_mean
from modalities.stacks.stack import FloatArray, Stack
from modalities.stacks.surface import flattened, surface_rows
from modalities.ultrasound.gain import Gain, fit_gain
from modalities.ultrasound.speckle import speckle_reduced, speckle_spread

SIDE = 96
MOST_VIEWS = 4
WIDTH_UM, DEPTH_UM, ABOVE_UM = 9600.0, 3360.0, 240.0
"""What a view shows: so much across, and from so much above the entry echo down; 100 by 35 micrometres a
pixel, a little less than a 20 MHz transducer resolves."""
_ABOVE_SHARE = ABOVE_UM / DEPTH_UM


@dataclass(frozen=True)
class Prepared:
    """Views, planes x 2 x `SIDE` x `SIDE`, and what was found on the way.

    The channels are the compensated decibels without and with speckle reduction, each about 0 and 1 in
    median and spread over what lies in the picture; outside it both are 0. `to_scale`: a view shows
    `WIDTH_UM` x `DEPTH_UM`; else all that the picture holds.
    """

    views: FloatArray = field(repr=False)
    gain: Gain
    to_scale: bool
    notes: tuple[str, ...]


def prepare(stack: Stack) -> Prepared:
    """Views of `MOST_VIEWS` planes at most, evenly over the scan.

    Log compression is kept for the net; means over a view's pixels and diffusion work on intensities, which
    the scale of `greys_per_db` gives back.
    """
    chosen = np.unique(np.linspace(0, len(stack.values) - 1, MOST_VIEWS).round().astype(int))
    planes = [stack.values[k, :, :, 0] for k in chosen]
    height, width = planes[0].shape
    row_um = stack.spacing_um[0] if stack.spacing_um else None
    margin = round(ABOVE_UM / row_um) if row_um else round(_ABOVE_SHARE * height)
    margin = min(margin, height)
    flats = [flattened(plane, surface_rows(plane), margin) for plane in planes]
    gain = fit_gain(flats, margin, stack.bits, row_um, stack.channels[0].value)
    levels = np.stack([gain.compensated(flat, margin) for flat in flats]) / gain.greys_per_db
    if stack.spacing_um:
        rows = np.linspace(0, DEPTH_UM / stack.spacing_um[0], SIDE + 1)
        across = WIDTH_UM / stack.spacing_um[1]
        columns = width / 2 + np.linspace(-across / 2, across / 2, SIDE + 1)
    else:
        rows, columns = np.linspace(0, height, SIDE + 1), np.linspace(0, width, SIDE + 1)
    seen = np.isfinite(levels)
    highest = float(levels[seen].max(initial=0))
    power = np.where(seen, 10 ** ((np.where(seen, levels, highest) - highest) / 10), 0.0)
    share = np.nan_to_num(area_mean(seen, rows, columns))
    inside = share > 0.5
    coarse = np.nan_to_num(area_mean(power, rows, columns)) / np.where(inside, share, 1)
    coarse = np.maximum(coarse, 1e-12)
    typical = np.array([np.median(c[i]) if i.any() else 1.0 for c, i in zip(coarse, inside, strict=True)])
    whole = np.where(inside, coarse, typical[:, None, None])
    calm = speckle_reduced(whole, speckle_spread(whole, inside))
    channels = [_standard(10 * np.log10(values), inside) for values in (whole, calm)]
    return Prepared(np.stack(channels, 1), gain, stack.spacing_um is not None, gain.notes)


def views(stack: Stack) -> FloatArray:
    """float32 views x 2 x `SIDE` x `SIDE`; see `prepare`."""
    return prepare(stack).views


def _standard(decibels: FloatArray, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    """Median 0 and spread 1 over each plane's inside; a plane of one level becomes 0."""
    out = np.zeros(decibels.shape, np.float32)
    for plane, mask, to in zip(decibels, inside, out, strict=True):
        if mask.any():
            kept = plane[mask]
            spread = float(kept.std())
            to[mask] = (kept - np.median(kept)) / spread if spread > 1e-6 else 0
    return out
