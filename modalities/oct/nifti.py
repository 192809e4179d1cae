"""Which volume does a NIfTI-1 file hold? Read by nibabel, unpacked no further than it may be large."""

from __future__ import annotations

import io
import zlib
from typing import Any

import nibabel
import numpy as np

from core.errors import CorruptImage, ImageTooLarge, UnsupportedFormat, UnsupportedPixels
from modalities.images.limits import Limits
from modalities.oct.volume import evenly, volume
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Stack

_GZIP = b"\x1f\x8b"
_WITH_GZIP_HEADER = 31
_HEADER = 348
_UM = {"meter": 1e6, "mm": 1e3, "micron": 1.0}
_MOST_OFFSET = 1 << 20
_TYPES = "uif"


def parse_nifti(data: bytes, limits: Limits) -> Stack:
    """Axes i, j and k are columns, rows and slices, as ITK and ImageJ write them; the affine is not applied.

    Numbers are scaled as the header says. Raises `UnsupportedFormat` for another kind of file or more than
    three axes, `UnsupportedPixels` for colour or complex samples, `CorruptImage` for less data than the
    header announces, and what `check_room` raises.
    """
    whole = _unpacked(data, 8 * limits.max_pixels + _MOST_OFFSET) if data.startswith(_GZIP) else data
    if whole[344:348] != b"n+1\0" or len(whole) < _HEADER:
        raise UnsupportedFormat("file is no NIfTI-1 of one file; store it as .nii or .nii.gz")
    header: Any = nibabel.Nifti1Header.from_fileobj(  # type: ignore[no-untyped-call]
        io.BytesIO(whole[:_HEADER]), check=False
    )
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) not in (2, 3):
        raise UnsupportedFormat("file has other than three axes; store columns, rows and slices")
    columns, rows, slices = (*shape, 1)[:3]
    check_room(slices, rows, columns, 1, limits)
    kind = header.get_data_dtype()
    if kind.kind not in _TYPES:
        raise UnsupportedPixels("volume has complex or colour samples; store grey")
    start, size = int(header["vox_offset"]), slices * rows * columns * kind.itemsize
    if not _HEADER <= start <= _MOST_OFFSET or len(whole) < start + size:
        raise CorruptImage("file has less data than its header announces; send the whole file")
    values = np.frombuffer(whole, kind, slices * rows * columns, start).reshape(slices, rows, columns)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    scaled = np.isfinite(slope) and slope != 0 and (slope, intercept) != (1.0, 0.0)
    if scaled:
        values = values * slope + (intercept if np.isfinite(intercept) else 0.0)
    unit = _UM.get(header.get_xyzt_units()[0])
    across, down, step = (None if unit is None else unit * float(z) for z in header["pixdim"][1:4])
    whole_numbers = kind.kind in "ui" and not scaled
    return volume(
        values,
        bits=8 * kind.itemsize if whole_numbers else None,
        spacing_um=(down, across),
        positions_um=evenly(step, slices),
    )


def _unpacked(data: bytes, most: int) -> bytes:
    unpacking = zlib.decompressobj(_WITH_GZIP_HEADER)
    try:
        whole = unpacking.decompress(data, most)
    except zlib.error:
        raise CorruptImage("file is a damaged gzip; send it once more") from None
    if unpacking.unconsumed_tail:
        raise ImageTooLarge("file unpacks to more than is read; export fewer slices")
    if not unpacking.eof:
        raise CorruptImage("file is a gzip that stops before its end; send the whole file")
    return whole
