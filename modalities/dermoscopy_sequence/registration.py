"""How must a later picture be turned and moved to lie on the first?

Every turn within reach is tried, coarse to fine, each with the shift that phase correlation gives it (Kuglin
& Hines 1975), and the one is taken after which the pictures agree best. Magnification is not sought: a
dermatoscope's is fixed, and growth would be taken for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from modalities.stacks.stack import FloatArray

REACH = 42
"""Degrees to either side: follow-up pictures are taken with the instrument held alike, more or less."""
_COARSE, _KEPT = 3, 4
_LEVELS = ((2, (1.5, 0.75)), (1, (0.5, 0.25)))
"""By how much the pictures are halved, and by how many degrees a turn is bettered there."""
LEAST = 0.3
"""Agreement below which nothing is known of how two pictures lie. Drawn pictures that were laid within
half a degree agreed by .48 or more, others by .25 or less."""


@dataclass(frozen=True)
class Motion:
    """A turn about the middle, degrees, then a shift down and right in pixels, and how well the pictures
    then agree: correlation of their bands, -1 to 1.
    """

    degrees: float
    down: float
    right: float
    agreement: float


def register(first: FloatArray, later: FloatArray) -> Motion | None:
    """The motion that lays `later` on `first`, two grey pictures side x side, the side a multiple of 6.

    `None` where no motion makes them agree by `LEAST`.
    """
    pair = _bands(first, later, 3)
    turns = range(-REACH, REACH + 1, _COARSE)
    best = sorted((_at(*pair, float(turn)) for turn in turns), key=lambda m: -m.agreement)[:_KEPT]
    for halved, steps in _LEVELS:
        pair = _bands(first, later, halved)
        found = [_at(*pair, motion.degrees) for motion in best]
        for step in steps:
            found = [_bettered(pair, motion, step) for motion in found]
        best = [max(found, key=lambda m: m.agreement)]
    return best[0] if best[0].agreement >= LEAST else None


def moved(picture: FloatArray, motion: Motion, fill: float = np.nan) -> FloatArray:
    """A picture, side x side or side x side x channels, after the motion; `fill` where nothing was seen."""
    if picture.ndim == 3:
        return np.stack([moved(picture[..., c], motion, fill) for c in range(picture.shape[2])], -1)
    turn = np.deg2rad(motion.degrees)
    back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = (np.array(picture.shape) - 1) / 2
    offset = middle - back @ (middle + np.array([motion.down, motion.right]))
    return np.asarray(
        ndimage.affine_transform(picture, back, offset, order=1, mode="constant", cval=fill), np.float32
    )


def _bands(first: FloatArray, later: FloatArray, halved: int) -> tuple[FloatArray, FloatArray]:
    """Both pictures at a `halved`-th of their side: their structure alone, every part of it as strong."""
    side = len(first) // halved
    small = (p.reshape(side, halved, side, halved).mean((1, 3)) for p in (first, later))
    one, two = (_band(p) for p in small)
    return one, two


def _band(picture: FloatArray) -> FloatArray:
    """What is neither lighting nor grain, by its local strength, so that skin and pigment network count like
    the border, and a hair no more; fading towards the edge.
    """
    fine = ndimage.gaussian_filter(picture, 1.0) - ndimage.gaussian_filter(picture, 5.0)
    strength = np.sqrt(ndimage.gaussian_filter(fine**2, 6.0)) + 0.5
    window = np.sqrt(np.hanning(len(picture)))
    return np.asarray(np.clip(fine / strength, -1.2, 1.2) * np.outer(window, window), np.float32)


def _bettered(pair: tuple[FloatArray, FloatArray], motion: Motion, step: float) -> Motion:
    around = [_at(*pair, motion.degrees + sign * step) for sign in (-1, 1)]
    return max([motion, *around], key=lambda m: m.agreement)


def _at(fixed: FloatArray, moving: FloatArray, degrees: float) -> Motion:
    """The shift that fits a turn, by phase correlation."""
    turned = moved(moving, Motion(degrees, 0, 0, 0), 0.0)
    across = np.fft.fft2(fixed) * np.conj(np.fft.fft2(turned))
    size = np.abs(across)
    # Halfway to plain correlation: whitened altogether, grain counts as much as structure.
    peak = np.fft.ifft2(across / np.sqrt(size + 1e-6 * size.max() + 1e-12)).real.astype(np.float32)
    place = np.unravel_index(peak.argmax(), peak.shape)
    down, right = (_finer(peak, place, axis) for axis in (0, 1))
    return Motion(degrees, down, right, _agreement(fixed, moving, degrees, (down, right)))


def _finer(peak: FloatArray, place: tuple[np.intp, ...], axis: int) -> float:
    """The peak's place along an axis, by a parabola through three points; from minus half to half a side."""
    side = peak.shape[axis]
    near = [peak[tuple(np.add(place, step * np.eye(2, dtype=int)[axis]) % side)] for step in (-1, 0, 1)]
    bend = near[0] - 2 * near[1] + near[2]
    shift = float(place[axis]) + (0.5 * float((near[0] - near[2]) / bend) if bend < 0 else 0.0)
    return shift - side if shift > side / 2 else shift


def _agreement(fixed: FloatArray, moving: FloatArray, degrees: float, shift: tuple[float, float]) -> float:
    """Correlation over what both show; -1 where they share less than a third."""
    laid = moved(moving, Motion(degrees, *shift, 0))
    both = np.isfinite(laid)
    if both.mean() < 1 / 3:
        return -1.0
    one, two = fixed[both] - fixed[both].mean(), laid[both] - laid[both].mean()
    spread = float(np.sqrt((one**2).sum() * (two**2).sum()))
    return float((one * two).sum()) / spread if spread > 0 else 0.0
