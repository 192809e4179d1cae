"""What does the net see of a photoacoustic section? Blood, its oxygen, and melanin, by depth."""

from __future__ import annotations

import numpy as np

from core.errors import UnsupportedPixels
from modalities.photoacoustic.chromophores import RANGE_NM, Array, absorption, effective_attenuation
from modalities.photoacoustic.unmixing import NEEDED, saturation, unmix
from modalities.spectral.bands import values
from modalities.stacks.areas import area_mean
from modalities.stacks.stack import FloatArray, Stack

SIDE, CHANNELS, MOST_VIEWS = 64, 3, 4
DEPTH_UM, WIDTH_UM = 5_000.0, 10_000.0
"""Of a view, from the surface down and about the middle; less is filled up with nothing."""
MOST_GAIN = 10.0
FLOOR = 0.01
_ISOSBESTIC = 800.0


def views(stack: Stack) -> FloatArray:
    """Frames, at most four evenly over the recording, x blood, oxygen and melanin x depth x width.

    Each frame: fluence compensated (`compensated`) below its surface (`surface`), averaged over the cells of
    5 x 10 mm, unmixed (`unmixing.unmix`). Blood and melanin are absorption at 800 nm over the frame's 99th
    percentile of both, on a logarithmic scale from `FLOOR`; oxygen is the saturation about .7, by the share
    of the cell's absorption that is blood above the floor, 0 where there is none. Raises `UnsupportedPixels`
    where wavelengths or distances are not known or do not do.
    """
    found = values(stack.channels, "nm", NEEDED)
    used = [i for i, nm in enumerate(found) if RANGE_NM[0] <= nm <= RANGE_NM[1]]
    wavelengths = [found[i] for i in used]
    if stack.spacing_um is None:
        raise UnsupportedPixels("file does not say how far apart its rows lie; needed for the loss of light")
    frames = np.unique(np.linspace(0, len(stack.values) - 1, MOST_VIEWS).round().astype(int))
    seen = [_view(stack.values[k][..., used].astype(float), wavelengths, stack.spacing_um) for k in frames]
    return np.stack(seen).astype(np.float32)


def compensated(frame: Array, wavelengths: list[float], row_um: float, top: int) -> Array:
    """`frame`, depth x width x wavelengths, over the fluence exp(-mu_eff z) of homogeneous dermis.

    z runs from row `top`; the gain ends at `MOST_GAIN`, below which noise would be all that grows. Source:
    Cox, Laufer, Arridge, Beard, "Quantitative spectroscopic photoacoustic imaging: a review", J. Biomed. Opt.
    17 (2012) 061202, section 3; mu_eff from `chromophores.effective_attenuation`. A vessel's shadow stays.
    """
    depth_cm = np.clip(np.arange(len(frame)) + 0.5 - top, 0, None) * row_um * 1e-4
    gain = np.exp(np.outer(depth_cm, effective_attenuation(wavelengths)))
    lifted: Array = frame * np.minimum(gain, MOST_GAIN)[:, None, :]
    return lifted


def surface(frame: Array) -> int:
    """The first row whose mean over width and wavelengths reaches 15 % of the greatest: the epidermis.

    Its melanin is a line that runs through the whole width; the coupling medium above absorbs nothing.
    """
    profile = np.clip(frame, 0, None).mean(axis=(1, 2))
    return int(np.argmax(profile >= 0.15 * profile.max()))


def _view(frame: Array, wavelengths: list[float], spacing: tuple[float, float]) -> Array:
    top = surface(frame)
    lifted = compensated(frame, wavelengths, spacing[0], top)
    middle, half = frame.shape[1] / 2, WIDTH_UM / spacing[1] / 2
    rows = np.linspace(top, top + DEPTH_UM / spacing[0], SIDE + 1)
    columns = np.linspace(middle - half, middle + half, SIDE + 1)
    cells = np.nan_to_num(area_mean(lifted.transpose(2, 0, 1), rows, columns))
    amounts = unmix(cells.reshape(len(wavelengths), -1).T, wavelengths)
    absorbed = amounts * absorption([_ISOSBESTIC])
    blood, melanin = absorbed[:, :2].sum(axis=1), absorbed[:, 2]
    scale = max(float(np.percentile(blood + melanin, 99)), 1e-12)
    oxygen = np.nan_to_num(saturation(amounts) - 0.7) * blood / (blood + melanin + FLOOR * scale)
    seen = [_level(blood / scale), oxygen / 0.15, _level(melanin / scale)]
    return np.stack(seen).reshape(CHANNELS, SIDE, SIDE)


def _level(share: Array) -> Array:
    level: Array = (np.log(FLOOR + np.minimum(share, 10)) + 3.5) / 1.2
    return level
