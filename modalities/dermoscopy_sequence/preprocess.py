"""What does the net see of a lesion over time? Each date laid on the first in its light, and what changed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from modalities.dermoscopy_sequence.registration import moved, register
from modalities.stacks.stack import FloatArray, Stack

WORK, SIDE, MOST_VIEWS = 192, 96, 6
"""Pixels of the square in which dates are laid on each other, of a view's side; dates that are seen."""
CHANNELS = (
    "red", "green", "blue", "red change", "green change", "blue change", "change is known", "time",
    "time is known",
)  # fmt: skip
NORM = 6.0
"""Minkowski's p of shades of grey (Finlayson & Trezzi, IS&T Color Imaging 2004)."""
_GLARE = 250.0
_LIGHT, _SPREAD, _CHANGE = 150.0, 50.0, 20.0
_YEAR = 365.25


def views(stack: Stack) -> FloatArray:
    """Dates x 9 x side x side: the first, the last, and others evenly between, `MOST_VIEWS` at most.

    Of each the picture, its difference to the first, and 1 where that is known: 0 where only one of them
    shows the skin, and everywhere if the date can be laid neither on the first nor on the one before.
    Then the time since, log2(1 + years), and 1, over the whole plane; both 0 where either date is unknown.
    The largest square in the middle of the picture is seen.
    """
    number = len(stack.values)
    chosen = np.unique(np.linspace(0, number - 1, min(number, MOST_VIEWS)).round().astype(int))
    pictures = [_square(stack.values[k]) for k in chosen]
    first = pictures[0]
    before = first
    seen = [_planes(first, np.zeros_like(first), np.ones(first.shape[:2]), _since(stack, 0))]
    for k, picture in zip(chosen[1:], pictures[1:], strict=True):
        later = in_light_of(first, picture)
        motion = register(first.mean(-1), later.mean(-1)) or register(before.mean(-1), later.mean(-1))
        laid = np.full_like(later, np.nan) if motion is None else moved(later, motion)
        known = np.isfinite(laid[..., 0])
        change = np.where(known[..., None], laid - first, 0)
        if motion is not None:
            before = later = np.where(known[..., None], laid, first)
        seen.append(_planes(later, change, known, _since(stack, int(k))))
    return np.ascontiguousarray(np.stack(seen), np.float32)


def vary(seen: FloatArray, rng: np.random.Generator) -> FloatArray:
    """All dates turned by quarters and mirrored alike: no side of a lesion is up."""
    turned = np.rot90(seen, int(rng.integers(0, 4)), (2, 3))
    return np.ascontiguousarray(turned[..., ::-1] if rng.random() < 0.5 else turned)


def in_light_of(first: FloatArray, later: FloatArray) -> FloatArray:
    """`later` in the light of `first`, height x width x 3: each channel times what makes its skin like the
    first's.

    Light by shades of grey over the skin around the lesion, whose colour does not change: the brighter part
    of the picture by Otsu's threshold, without glare.
    """
    gain = _light_on_skin(first) / _light_on_skin(later)
    return (later * gain).astype(np.float32)


def _light_on_skin(picture: FloatArray) -> npt.NDArray[np.float64]:
    grey = picture.mean(-1)
    skin = (grey > _otsu(grey)) & (picture.max(-1) < _GLARE)
    pixels = picture[skin] if skin.any() else picture.reshape(-1, 3)
    light: npt.NDArray[np.float64] = (pixels.astype(np.float64) ** NORM).mean(0) ** (1 / NORM)
    return np.maximum(light, 1.0)


def _square(picture: FloatArray) -> FloatArray:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = Image.fromarray(picture[top : top + side, left : left + side].astype(np.uint8))
    return np.asarray(
        cut.resize((WORK, WORK), Image.Resampling.BOX if side >= WORK else Image.Resampling.BILINEAR),
        np.float32,
    )


def _since(stack: Stack, k: int) -> tuple[float, float]:
    start, now = stack.positions[0], stack.positions[k]
    return (0.0, 0.0) if start is None or now is None else (math.log2(1 + abs(now - start) / _YEAR), 1.0)


def _planes(
    picture: FloatArray, change: FloatArray, known: npt.NDArray[Any], time: tuple[float, float]
) -> FloatArray:
    side = WORK // SIDE
    whole = np.concatenate([(picture - _LIGHT) / _SPREAD, change / _CHANGE, known[..., None]], -1)
    small = whole.reshape(SIDE, side, SIDE, side, whole.shape[-1]).mean((1, 3)).transpose(2, 0, 1)
    return np.concatenate([small, *(np.full((1, SIDE, SIDE), value) for value in time)]).astype(np.float32)


def _otsu(grey: FloatArray) -> float:
    """The grey level that parts two groups best (Otsu 1979)."""
    counts, edges = np.histogram(grey, 256, (0, 256))
    middle = (edges[:-1] + edges[1:]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middle)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return float(edges[1:][np.nan_to_num(between).argmax()])
