"""What does a dotTHz file of a reflection scan hold?

Format: J. Lee et al., "dotTHz: A Standard Data Format for Terahertz Time-Domain Data", J. Infrared Millim.
Terahertz Waves 44 (2023), doi 10.1007/s10762-023-00947-w, and as `pydotthz` writes images: HDF5, a group a
measurement, `time` in ps and a `dataset` of columns x rows x time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from core.errors import CorruptImage, MultiFrame, UnsupportedFormat, UnsupportedPixels
from modalities.images.limits import Limits
from modalities.spectral.tree import Tree, open_tree
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, Stack
from modalities.terahertz.dielectric import Array, Complex

BANDS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
"""Centres of what is taken of the spectrum, THz."""
NEEDED = "0.2 to 1.2 THz, so a step of 0.4 ps at most over 10 ps at least"
AMPLITUDE, PHASE = "amplitude", "phase"
WEAKEST = 1e-3
"""Of the reference's strongest band: below, a band is noise over noise."""
_PITCH = {"dx [mm]": 1, "dx_mm": 1, "dx (mm)": 1, "dy [mm]": 0, "dy_mm": 0, "dy (mm)": 0}


def read(source: bytes | Path) -> Stack:
    """One plane whose channels are amplitude and phase at `BANDS` over a mirror's; see `parse`."""
    from modalities.stacks.reading import read_in_child

    return read_in_child(__name__, source)


@dataclass(frozen=True)
class _Scan:
    """Where the parts of a measurement lie in the file, and what is told of it, names in small letters."""

    paths: dict[str, str]
    told: dict[str, str | float]


def parse(data: bytes, limits: Limits) -> Stack:
    """Divides the spectrum of each pixel by that of the trace `reference`, at each of `BANDS`.

    Channels: amplitude of the ratio, then its phase in radians, each with its frequency in THz. `mode` must
    say reflection, and the field `reference` of the metadata "mirror": without it the ratio has no absolute
    meaning. Rows run down y, columns along x; distances come from the fields "dx [mm]" and "dy [mm]".

    Raises `UnsupportedPixels` for another mode, no reference or one that lacks a band, `MultiFrame` for
    several scans, `CorruptImage` where axes contradict each other, and what `open_tree` and `check_room`
    raise.
    """
    with open_tree(data, limits.max_pixels) as tree:
        scan = _scan(tree)
        shape = tree.shape(scan.paths["dataset"]) or ()
        if "time" not in scan.paths:
            raise UnsupportedPixels(f"file does not give the time of its samples in ps; needed: {NEEDED}")
        time = tree.numbers(scan.paths["time"]).reshape(-1).astype(float)
        if len(shape) != 3 or shape[2] != len(time):
            raise CorruptImage("file's image has not the axes columns, rows and time; export it again")
        check_room(1, shape[1], shape[0], shape[2], limits)
        _check_time(time)
        reference = _reference(tree, scan, time)
        stored = tree.numbers(scan.paths["dataset"])
    if not (np.isfinite(reference).all() and np.isfinite(stored).all()):
        raise CorruptImage("file holds numbers that are not finite; export it again")
    ratio = _ratio(stored, reference, time)
    notes = ["traces were divided by the reference in the frequency domain, from 0.2 to 1.2 THz"]
    spacing = _spacing(scan, notes)
    values = np.concatenate([np.abs(ratio), np.angle(ratio)], axis=-1).transpose(1, 0, 2)
    return Stack(
        values=np.ascontiguousarray(values[None], np.float32),
        spacing_um=spacing,
        channels=tuple(Channel(f"{what} {f:g} THz", f, "THz") for what in (AMPLITUDE, PHASE) for f in BANDS),
        notes=tuple(notes),
    )


def _scan(tree: Tree) -> _Scan:
    """The one measurement with an array of three axes."""
    found = [scan for name in tree.members() if (scan := _measurement(tree, f"/{name}")) is not None]
    if not found:
        raise UnsupportedFormat("file is HDF5, but holds no image scan of the dotTHz format")
    if len(found) > 1:
        raise MultiFrame(f"file holds {len(found)} scans; send the one of the lesion")
    mode = str(found[0].told.get("mode", "")).lower()
    if "reflection" not in mode:
        raise UnsupportedPixels("file's mode does not say reflection; only reflection scans are read")
    return found[0]


def _measurement(tree: Tree, group: str) -> _Scan | None:
    """Names of data sets and of metadata are lists in attributes; the n-th is of `ds{n}` or `md{n}`."""
    aliases = str(tree.attribute(group, "dsDescription") or "").split(",")
    paths: dict[str, str] = {}
    for number, alias in enumerate(aliases, start=1):
        path, name = f"{group}/ds{number}", alias.strip().lower()
        shape = tree.shape(path)
        if shape is None:
            continue
        kind = "dataset" if len(shape) == 3 else "reference" if name.startswith("ref") else name
        if kind != "dataset" or len(shape) == 3:
            paths[kind] = path
    if "dataset" not in paths:
        return None
    told: dict[str, str | float] = {}
    fields = str(tree.attribute(group, "mdDescription") or "").split(",")
    for number, name in enumerate(fields, start=1):
        value = tree.attribute(group, f"md{number}")
        if value is not None:
            told[name.strip().lower()] = value
    mode = tree.attribute(group, "mode")
    return _Scan(paths, told if mode is None else {**told, "mode": mode})


def _check_time(time: Array) -> None:
    steps = np.diff(time)
    if len(time) < 16 or not np.isfinite(time).all() or not (steps > 0).all():
        raise CorruptImage("file's time does not ascend in 16 samples or more; export it again")
    if np.ptp(steps) > 0.01 * steps.mean():
        raise UnsupportedPixels("file's samples are not evenly spaced in time; needed: even steps")
    if not (1e-4 < steps.mean() <= 0.5 / BANDS[-1] and time[-1] - time[0] >= 10):
        raise UnsupportedPixels(f"file's time in ps does not reach the bands; needed: {NEEDED}")


def _reference(tree: Tree, scan: _Scan, time: Array) -> Array:
    """The trace of the mirror: one field a sample, or time and field in two columns or rows."""
    if "reference" not in scan.paths or "mirror" not in str(scan.told.get("reference", "")).lower():
        raise UnsupportedPixels(
            "file does not say what its traces are relative to; needed: a data set 'reference' with the "
            "trace of a mirror in the lesion's place, and a metadata field 'reference' that says mirror"
        )
    trace = tree.numbers(scan.paths["reference"]).astype(float)
    if trace.ndim == 2 and 2 in trace.shape:
        own, trace = trace if trace.shape[0] == 2 else trace.T
        if own.shape != time.shape or not np.allclose(own, time, atol=1e-3 * (time[1] - time[0])):
            raise UnsupportedPixels("reference has another time than the scan; record both alike")
    if trace.shape != time.shape:
        raise CorruptImage("reference has another number of samples than the scan; export it again")
    return np.asarray(trace, float)


def _ratio(stored: npt.NDArray[np.generic], reference: Array, time: Array) -> Complex:
    """Columns x rows x bands; each trace without its mean, tapered by a cosine over its last tenths."""
    kernel = np.exp(-2j * np.pi * np.outer(time, BANDS)) * _taper(len(time))[:, None]
    kernel -= kernel.mean(axis=0)  # the same as to take the mean from each trace
    mirror = reference @ kernel
    if np.abs(mirror).min() < WEAKEST * np.abs(mirror).max() or not np.abs(mirror).max() > 0:
        weakest = BANDS[int(np.abs(mirror).argmin())]
        raise UnsupportedPixels(f"reference has no signal at {weakest:g} THz; needed: {NEEDED}")
    spectra = stored.astype(np.float32) @ kernel.astype(np.complex64)
    return np.asarray(spectra / mirror)


def _taper(length: int) -> Array:
    edge = max(1, length // 10)
    rise = 0.5 - 0.5 * np.cos(np.pi * (np.arange(edge) + 0.5) / edge)
    window = np.ones(length)
    window[:edge], window[-edge:] = rise, rise[::-1]
    return window


def _spacing(scan: _Scan, notes: list[str]) -> tuple[float, float] | None:
    found: dict[int, float] = {}
    for name, axis in _PITCH.items():
        try:
            found[axis] = abs(float(scan.told[name])) * 1000
        except (KeyError, ValueError):
            continue
    if len(found) == 2 and all(0 < value < np.inf for value in found.values()):
        return found[0], found[1]
    notes.append("distances of pixels (dx [mm], dy [mm]) are not given; the whole field is one view")
    return None
