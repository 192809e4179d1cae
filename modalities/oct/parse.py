"""Which volume of B-scans does a file hold? Runs in the process that may die.

Multi-page TIFF, DICOM multi-frame (Ophthalmic Tomography, PS3.3, A.52, and Secondary Captures) and NIfTI-1.
Pages, frames or the third axis are B-scans across the lesion, rows run down from the probe.
"""

from __future__ import annotations

from typing import Any

from core.errors import MissingExtra, UnsupportedFormat
from modalities.images.limits import Limits
from modalities.stacks.stack import Stack

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_GZIP = b"\x1f\x8b"


def parse(data: bytes, limits: Limits) -> Stack:
    """A `Stack` along `slice`, one channel; positions in micrometres from the first B-scan.

    Raises `UnsupportedFormat` for another format, `MissingExtra` where its library is not installed, and what
    `modalities.oct.tiff`, `.dicom` and `.nifti` raise.
    """
    if data.startswith(_TIFF):
        from modalities.oct.tiff import parse_tiff

        return parse_tiff(data, limits)
    try:
        return _with_extra(data, limits)
    except ModuleNotFoundError as error:
        extras = {"pydicom": ("reading DICOM", "dicom"), "nibabel": ("reading NIfTI", "oct")}
        if error.name not in extras:
            raise
        raise MissingExtra(*extras[error.name]) from None


def _with_extra(data: bytes, limits: Limits) -> Stack:
    reader: Any
    if data[128:132] == b"DICM":
        from modalities.oct.dicom import parse_dicom as reader
    elif data.startswith(_GZIP) or data[344:348] == b"n+1\0":
        from modalities.oct.nifti import parse_nifti as reader
    else:
        raise UnsupportedFormat(
            "file is neither TIFF, DICOM nor NIfTI-1; export the volume as a multi-page TIFF"
        )
    stack: Stack = reader(data, limits)
    return stack
