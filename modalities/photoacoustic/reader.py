"""What does a photoacoustic file in the HDF5 format of IPASC hold?

Format: IPASC data format V2 (ipasc.science, 2021), as its reference implementation `pacfish` writes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import CorruptImage, UnsupportedFormat, UnsupportedPixels
from modalities.images.limits import Limits
from modalities.photoacoustic.chromophores import RANGE_NM
from modalities.spectral.tree import Tree, open_tree
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, Stack

DATA, ACQUISITION = "/binary_time_series_data", "/meta_data"
FIELD = "/meta_data_device/general/field_of_view"
_DAY = 86_400.0


def read(source: bytes | Path) -> Stack:
    """Frames of a reconstructed section: time x depth x width x wavelengths; see `parse`."""
    from modalities.stacks.reading import read_in_child

    return read_in_child(__name__, source)


def parse(data: bytes, limits: Limits) -> Stack:
    """Reads `binary_time_series_data` of dimensionality "space": width, depth, wavelengths, frames.

    IPASC orders time series as detectors, samples, wavelengths, measurements and does not order reconstructed
    images; detectors stand along the width and samples run into depth, so that order is taken. Rows become
    depth, downwards. Wavelengths come from `acquisition_wavelengths` (m), distances from `field_of_view`
    (m: x1, x2, x3, the last into depth), days from `measurement_timestamps` (s).

    Raises `UnsupportedPixels` for raw time series, no wavelengths or another number of them than channels,
    `CorruptImage` where sizes contradict each other, and what `open_tree` and `check_room` raise.
    """
    with open_tree(data, limits.max_pixels) as tree:
        shape = tree.shape(DATA)
        if shape is None or "meta_data" not in tree:
            raise UnsupportedFormat("file is HDF5, but not in the format of IPASC")
        _check_kind(tree)
        if len(shape) != 4:
            raise CorruptImage("file's image has not the axes width, depth, wavelengths and frames")
        check_room(shape[3], shape[1], shape[0], shape[2], limits)
        _check_sizes(tree, shape)
        channels = _channels(tree, shape[2])
        stored = tree.numbers(DATA)
        notes: list[str] = []
        spacing = _spacing(tree, shape[0], shape[1], notes)
        positions = _days(tree, shape[3], notes) if shape[3] > 1 else ()
        if f"{ACQUISITION}/pulse_energy" in tree:
            notes.append("pulse energies are given; the image is taken as already divided by them")
    outside = [c.name for c in channels if not RANGE_NM[0] <= (c.value or 0) <= RANGE_NM[1]]
    if outside:
        notes.append(f"not used, for no spectra of absorbers are tabulated there: {', '.join(outside)}")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(stored.transpose(3, 1, 0, 2), np.float32)
    return Stack(
        values=values,
        axis="time" if shape[3] > 1 else "none",
        positions=positions,
        spacing_um=spacing,
        channels=channels,
        bits=None if stored.dtype.kind == "f" else 8 * stored.dtype.itemsize,
        notes=tuple(notes),
    )


def _check_kind(tree: Tree) -> None:
    kind = tree.text(f"{ACQUISITION}/dimensionality")
    if kind != "space":
        raise UnsupportedPixels(
            "file's dimensionality is not 'space': only reconstructed images are read; reconstruct the time "
            "series first"
        )


def _check_sizes(tree: Tree, shape: tuple[int, ...]) -> None:
    """Singleton axes may be left out of `sizes`, as MATLAB does."""
    if tree.shape(f"{ACQUISITION}/sizes") is None:
        return
    told = [int(n) for n in tree.numbers(f"{ACQUISITION}/sizes").reshape(-1) if n != 1]
    if told != [n for n in shape if n != 1]:
        raise CorruptImage("file says other sizes than its image has; export it again")


def _channels(tree: Tree, count: int) -> tuple[Channel, ...]:
    path = f"{ACQUISITION}/acquisition_wavelengths"
    if tree.shape(path) is None:
        raise UnsupportedPixels("file lacks acquisition_wavelengths; needed: one in m for each channel")
    found = tree.numbers(path).reshape(-1).astype(float)
    if len(found) != count or not np.isfinite(found).all():
        raise CorruptImage("file gives another number of wavelengths than channels; export it again")
    if not ((found > 1e-7) & (found < 1e-5)).all():
        raise UnsupportedPixels("acquisition_wavelengths are no wavelengths of light in m; export it again")
    nanometres = [round(float(value) * 1e9, 3) for value in found]
    return tuple(Channel(f"{value:g} nm", value, "nm") for value in nanometres)


def _spacing(tree: Tree, width: int, depth: int, notes: list[str]) -> tuple[float, float] | None:
    if tree.shape(FIELD) != (6,):
        notes.append("no field of view is given, so distances are not known")
        return None
    x1, x2, x3 = np.abs(np.diff(tree.numbers(FIELD).astype(float).reshape(3, 2)))[:, 0]
    sides = [side for side in (x1, x2) if side > 0]
    if len(sides) != 1 or not (np.isfinite([x1, x2, x3]).all() and x3 > 0):
        notes.append("field of view is not that of one section, so distances are not known")
        return None
    return float(x3 * 1e6 / depth), float(sides[0] * 1e6 / width)


def _days(tree: Tree, frames: int, notes: list[str]) -> tuple[float | None, ...]:
    path = f"{ACQUISITION}/measurement_timestamps"
    shape = tree.shape(path)
    if shape is None or shape[-1:] != (frames,):
        notes.append("no time of each frame is given")
        return (None,) * frames
    times = tree.numbers(path).reshape(-1, frames).astype(float).mean(axis=0)
    return tuple(float(t) for t in (times - times[0]) / _DAY)
