"""How does the light fall off from the middle of a field, and what would the field be without?"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from modalities.confocal.fields import ENOUGH
from modalities.stacks.stack import FloatArray

_WIDTH = 0.12
"""Of the smoothing, in sides of a field: far above a cell, below the fall-off."""
_LEAST = 0.2
"""Of the mean light; what is darker is no fall-off but no light, and dividing by it would make noise."""


def evened(fields: FloatArray) -> FloatArray:
    """Fields x height x width, divided by the light that they share.

    Light falls off alike in every field of a microscope and tissue does not lie alike, so the profile is the
    median over fields of each smoothed one in units of its own mean: retrospective correction from many
    images, as in Smith et al., "CIDRE: an illumination-correction method for optical microscopy", Nature
    Methods 12, 2015, in its plainest form. Fewer than `ENOUGH` fields are given back as they are.
    """
    if len(fields) < ENOUGH:
        return fields
    height, width = fields.shape[1:]
    smooth = np.stack([gaussian_filter(f, (_WIDTH * height, _WIDTH * width), mode="nearest") for f in fields])
    means = smooth.mean(axis=(1, 2), keepdims=True)
    profile = np.median(smooth[means[:, 0, 0] > 0] / means[means[:, 0, 0] > 0][:, :, :], axis=0)
    if not profile.size or not np.isfinite(profile).all():
        return fields
    flat: FloatArray = (fields / np.maximum(profile / profile.mean(), _LEAST)).astype(np.float32)
    return flat
