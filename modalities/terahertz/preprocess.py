"""What does the net see of a terahertz scan? How strongly and how late skin reflects, band by band."""

from __future__ import annotations

import numpy as np

from core.errors import UnsupportedPixels
from modalities.spectral.bands import choose
from modalities.stacks.areas import area_mean
from modalities.stacks.stack import FloatArray, Stack
from modalities.terahertz.dielectric import LIGHT_UM_PS, SKIN, Array, Complex, absorption, index_of, on_mirror
from modalities.terahertz.reader import AMPLITUDE, BANDS, PHASE

SIDE, MOST_VIEWS = 32, 1
FIELD_UM = 16_000.0
CHANNELS = len(BANDS) + 3
_MIDDLE = slice(1, 4)
"""Bands that index and absorption are averaged over: the strongest, .4 to .8 THz."""
_WINDOWS = {f"{f:g} THz": (f - 0.05, f + 0.05) for f in BANDS}


def views(stack: Stack) -> FloatArray:
    """One view of 16 x 16 mm about the middle: amplitudes at six bands, index, absorption, height.

    Amplitudes count from those of average skin, in steps of .05; index and absorption (`optical`) from 1.9 in
    steps of .15 and from 110 /cm in steps of 40; height from the median, in steps of 20 um. Cells outside the
    scan hold the scan's median. Without distances the whole field is the view. Raises `UnsupportedPixels`
    where a band is missing, which names those that are needed.
    """
    ratio = ratio_of(stack)
    frequencies = np.array(BANDS)
    level, height = levelled(ratio, frequencies)
    index, loss = optical(level[..., _MIDDLE], frequencies[_MIDDLE])
    seen = [
        (np.abs(ratio) - np.abs(on_mirror(SKIN.index(frequencies)))).transpose(2, 0, 1) / 0.05,
        ((index.mean(axis=-1) - 1.9) / 0.15)[None],
        ((loss.mean(axis=-1) - 110) / 40)[None],
        ((height - np.median(height)) / 20)[None],
    ]
    maps = np.clip(np.concatenate(seen), -8, 8)
    cells = area_mean(maps, *_edges(stack))
    middle = np.median(maps, axis=(1, 2))[:, None, None]
    return np.where(np.isnan(cells), middle, cells)[None].astype(np.float32)


def ratio_of(stack: Stack) -> Complex:
    """Height x width x bands, complex; channels are found by kind and frequency."""
    parts = []
    for kind in (AMPLITUDE, PHASE):
        places = [i for i, c in enumerate(stack.channels) if c.name.startswith(kind)]
        chosen = choose([stack.channels[i] for i in places], "THz", _WINDOWS)
        parts.append(stack.values[0][..., [places[i] for i in chosen.values()]].astype(float))
    if not len(parts[0]):
        raise UnsupportedPixels("scan is empty")
    return np.asarray(parts[0] * np.exp(1j * parts[1]))


def levelled(ratio: Complex, terahertz: Array) -> tuple[Complex, Array]:
    """`ratio` without the delay of each pixel, and that delay as height above the mirror's place, um.

    The phase beyond that of average skin is fitted by a line through zero over frequency, weighted by
    amplitude: a surface h higher returns 2 h / c earlier. The part of a lesion's own phase that is
    proportional to frequency is taken for height with it; a mirror that stands 10 um off would else change
    the phase at 1 THz by 24 degrees.
    """
    beyond = ratio / on_mirror(SKIN.index(terahertz))
    steps = beyond[..., 1:] * np.conj(beyond[..., :-1])
    phase = np.angle(beyond[..., :1]) + np.concatenate(
        [np.zeros_like(steps[..., :1].real), np.cumsum(np.angle(steps), axis=-1)], axis=-1
    )
    weight = np.abs(ratio) ** 2
    omega = 2 * np.pi * terahertz
    delay = -(weight * omega * phase).sum(axis=-1) / np.maximum((weight * omega**2).sum(axis=-1), 1e-30)
    level = ratio * np.exp(1j * omega * delay[..., None])
    return np.asarray(level), np.asarray(-delay * LIGHT_UM_PS / 2)


def optical(ratio: Complex, terahertz: Array) -> tuple[Array, Array]:
    """Refractive index, and absorption in 1/cm, of a half space that reflects so; shapes as given.

    A layered skin has no one index: this is that of a half space in its place. An amplitude of 1 or more,
    which no tissue has, is taken as .99 of a mirror's.
    """
    strength = np.abs(ratio)
    index = index_of(ratio * np.minimum(1, 0.99 / np.maximum(strength, 1e-12)))
    return np.asarray(index.real), absorption(index, terahertz)


def _edges(stack: Stack) -> tuple[Array, Array]:
    edges = []
    for axis in (0, 1):
        length = stack.values.shape[1 + axis]
        half = length / 2 if stack.spacing_um is None else FIELD_UM / stack.spacing_um[axis] / 2
        edges.append(np.linspace(length / 2 - half, length / 2 + half, SIDE + 1))
    return edges[0], edges[1]
