"""What does the net see of a multiphoton stack? Cells, collagen and their balance, plane by plane."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.errors import UnsupportedPixels
from modalities.multiphoton.photons import Array, gain_and_offset, stabilised
from modalities.multiphoton.reader import FLUORESCENCE, HARMONIC, NEEDED
from modalities.stacks.areas import area_mean
from modalities.stacks.stack import Channel, FloatArray, Stack

SIDE, CHANNELS, MOST_VIEWS = 64, 3, 6
FIELD_UM = 160.0
MOST_GAIN = 8.0
_TYPICAL_NM = 480.0


def views(stack: Stack) -> FloatArray:
    """Planes, at most six evenly over depth, x fluorescence, harmonic and their balance, of 160 x 160 um.

    Grey levels become photons (`gain_and_offset`), depth is compensated (`loss`), counts are averaged over
    cells of 2.5 um and stabilised (`stabilised`), the first two channels about the stack's median in steps of
    its spread. The balance is `ageing_index`, times 2. Cells outside the field hold the view's median.
    Raises `UnsupportedPixels` where channels or distances are not known.
    """
    if stack.spacing_um is None:
        raise UnsupportedPixels("file lacks PhysicalSizeX and PhysicalSizeY; needed for the size of cells")
    both = [_photons(stack.values[..., place].astype(float)) for place in found(stack.channels)]
    lost = loss([p.mean(axis=(1, 2)) for p in both], stack.positions)
    chosen = np.unique(np.linspace(0, len(stack.values) - 1, MOST_VIEWS).round().astype(int))
    edges = [
        np.linspace(n / 2 - FIELD_UM / s / 2, n / 2 + FIELD_UM / s / 2, SIDE + 1)
        for n, s in zip(stack.values.shape[1:3], stack.spacing_um, strict=True)
    ]
    pixels = max(1.0, (FIELD_UM / SIDE) ** 2 / stack.spacing_um[0] / stack.spacing_um[1])
    cells = [area_mean(p[chosen], edges[0], edges[1]) for p in both]
    balance = ageing_index(cells[0], cells[1])
    seen = [stabilised(c * pixels) / np.sqrt(pixels * lost[chosen])[:, None, None] for c in cells]
    maps = np.stack([_centred(seen[0]), _centred(seen[1]), 2 * balance], axis=1)
    middle = np.nanmedian(maps, axis=(2, 3), keepdims=True)
    return np.clip(np.where(np.isnan(maps), middle, maps), -8, 8).astype(np.float32)


def found(channels: Sequence[Channel]) -> tuple[int, int]:
    """Places of autofluorescence, the one nearest to 480 nm, and of the second harmonic.

    By what was recorded, never by place in the file. Raises `UnsupportedPixels` where one is missing, and for
    two second-harmonic channels.
    """
    glow = [i for i, c in enumerate(channels) if c.name.startswith(FLUORESCENCE) and c.value is not None]
    doubled = [i for i, c in enumerate(channels) if c.name.startswith(HARMONIC)]
    if not glow or len(doubled) != 1:
        raise UnsupportedPixels(f"file has not one channel of each kind; needed: {NEEDED}")
    nearest = min(glow, key=lambda i: (abs((channels[i].value or 0) - _TYPICAL_NM), channels[i].value))
    return nearest, doubled[0]


def ageing_index(fluorescence: Array, harmonic: Array) -> Array:
    """SAAID, (SHG - AF) / (SHG + AF), -1 to 1: high in collagen, low in cells; 0 where both are 0.

    Source: S.-J. Lin et al., "Monitoring photoaging by use of multiphoton fluorescence and second harmonic
    generation microscopy", Opt. Lett. 30 (2005) 2275. Depth weakens both alike and drops out; the two
    detectors' sensitivities do not, so values compare within one device.
    """
    total = fluorescence + harmonic
    with np.errstate(invalid="ignore", divide="ignore"):
        balance = (harmonic - fluorescence) / total
    return np.asarray(np.where(total == 0, 0.0, balance))


def loss(means: Sequence[Array], positions: Sequence[float | None]) -> Array:
    """What depth leaves of the signal, one a plane, 1 at the brightest end of the line: exp(-z / l).

    One length l for the stack, by a line through the logarithm of the mean photons of both channels over
    depth: two-photon signal falls with the square of the exciting power, which scattering thins exponentially
    (W. Denk, K. Svoboda, Neuron 18 (1997) 351). Never rises with depth, never below 1 / `MOST_GAIN`; 1
    throughout where depths are not known or are fewer than three.
    """
    total = np.maximum(np.sum(means, axis=0), 1e-9)
    if len(positions) < 3 or any(p is None for p in positions):
        return np.ones(len(total))
    depth = np.array(positions, float)
    slope = min(0.0, float(np.polyfit(depth, np.log(total), 1)[0]))
    return np.asarray(np.maximum(np.exp(slope * (depth - depth.min())), 1 / MOST_GAIN))


def _photons(values: Array) -> Array:
    gain, offset = gain_and_offset(values)
    return np.maximum((values - offset) / gain, 0)


def _centred(seen: Array) -> Array:
    spread = max(float(np.nanstd(seen)), 1e-6)
    return np.asarray((seen - np.nanmedian(seen)) / spread)
