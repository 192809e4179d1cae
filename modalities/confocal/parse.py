"""Which planes does a confocal file hold? Runs in the process that may die.

TIFF of one page or several (8 or 16 bits; ImageJ's and OME's sizes of pixels), PNG and BMP of one plane, and
DICOM Confocal Microscopy Image and its tiled pyramidal kin (PS3.3, A.90).
"""

from __future__ import annotations

from core.errors import MissingExtra
from modalities.images.limits import Limits
from modalities.stacks.stack import Stack


def parse(data: bytes, limits: Limits) -> Stack:
    """A `Stack` along `depth` (several planes), of `tile`s, or of one plane; grey levels as stored.

    Raises what `modalities.confocal.tiff.parse_picture` and `modalities.confocal.dicom.parse_dicom` raise,
    and `MissingExtra` for DICOM without pydicom.
    """
    if data[128:132] != b"DICM":
        from modalities.confocal.tiff import parse_picture

        return parse_picture(data, limits)
    try:
        from modalities.confocal.dicom import parse_dicom
    except ModuleNotFoundError as error:
        if error.name != "pydicom":
            raise
        raise MissingExtra("reading DICOM", "dicom") from None
    return parse_dicom(data, limits)
