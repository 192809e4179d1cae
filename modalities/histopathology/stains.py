"""How much haematoxylin and how much eosin took light away in each pixel?

Optical density and unmixing: Ruifrok & Johnston, Anal Quant Cytol Histol 2001;23:291. The slide's own stain
vectors and the normalisation: Macenko et al., IEEE ISBI 2009, 1107.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from modalities.stacks.stack import FloatArray

Floats = npt.NDArray[np.float64]

RUIFROK: Floats = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])
"""Haematoxylin and eosin, optical densities in red, green and blue, of length 1 (Ruifrok & Johnston)."""
RUIFROK /= np.linalg.norm(RUIFROK, axis=1, keepdims=True)
RUIFROK.flags.writeable = False

LAMP = 240.0
"""Grey level of clear glass, of 255, as Macenko's implementation takes it."""
CLEAR = 0.15
"""Natural optical density below which a pixel is glass: Macenko's beta."""
REFERENCE: Floats = np.array([1.9705, 1.0308])
"""The 99th percentiles of haematoxylin and eosin that a normalised slide gets, from Macenko's code."""
REFERENCE.flags.writeable = False
_ANGLES = (1.0, 99.0)
_FEWEST = 500
_LEAST_APART = np.deg2rad(8.0)
_LIKE = 0.75


def optical_density(light: FloatArray) -> FloatArray:
    """Natural optical density of grey levels 0 to 255, ... x 3: -ln((I + 1) / (LAMP + 1)), not below 0."""
    density: FloatArray = np.maximum(-np.log((light + 1) / (LAMP + 1)), 0).astype(np.float32)
    return density


def stain_vectors(density: FloatArray) -> Floats:
    """Macenko's stain vectors of pixels x 3 optical densities: 2 x 3, haematoxylin first, of length 1.

    The plane of the two largest eigenvectors of the coloured pixels' covariance; in it, the directions of
    the 1st and 99th percentiles of the angle. Where that is not two stains that look like haematoxylin and
    eosin (fewer than 500 coloured pixels, directions less than 8 degrees apart, or one more than 41 degrees
    away from that of Ruifrok & Johnston), their vectors are the answer.
    """
    coloured = density[(density > CLEAR).all(1)].astype(np.float64)
    if len(coloured) < _FEWEST:
        return RUIFROK
    _, vectors = np.linalg.eigh(np.cov(coloured.T))
    plane = vectors[:, [2, 1]]
    plane *= np.where(plane.sum(0) < 0, -1, 1)
    on_plane = coloured @ plane
    angles = np.percentile(np.arctan2(on_plane[:, 1], on_plane[:, 0]), _ANGLES)
    found = np.stack([plane @ (np.cos(a), np.sin(a)) for a in angles])
    # Haematoxylin takes more red away than eosin does.
    found = found[np.argsort(-found[:, 0])]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    like = (found * RUIFROK).sum(1)
    if abs(angles[1] - angles[0]) < _LEAST_APART or (like < _LIKE).any():
        return RUIFROK
    return found


def unmix(density: FloatArray, stains: Floats) -> FloatArray:
    """Least-squares amounts of the two stains, ... x 2, not below 0."""
    amounts = density.reshape(-1, 3) @ np.linalg.pinv(stains)
    return np.maximum(amounts, 0).reshape(*density.shape[:-1], 2).astype(np.float32)


def normalised(light: FloatArray) -> FloatArray:
    """Amounts of haematoxylin and eosin in one slide's pixels, scaled so that their 99th percentiles are
    those of `REFERENCE`: ... x 3 grey levels to ... x 2.

    Percentiles are over the slide's coloured pixels, all tiles together, so that tiles keep their
    differences. A stain that is absent stays 0.
    """
    density = optical_density(light)
    amounts = unmix(density, stain_vectors(density.reshape(-1, 3)))
    coloured = (density > CLEAR).any(-1)
    if not coloured.any():
        return amounts
    most = np.percentile(amounts[coloured], 99, axis=0)
    scale = np.divide(REFERENCE, most, out=np.zeros(2), where=most > CLEAR)
    return (amounts * scale).astype(np.float32)
