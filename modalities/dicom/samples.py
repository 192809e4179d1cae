"""Which samples does each frame of a DICOM image store? For stacks, whose numbers are never rescaled.

Runs in a process that may die. `dataset` is a pydicom one.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from core.errors import CorruptImage, UnsupportedFormat, UnsupportedPixels
from modalities.dicom.pixels import COLOUR, GREY, PALETTE, check_end, decodable
from modalities.dicom.preface import check_file
from modalities.dicom.sop_classes import SOP_CLASSES
from modalities.images.limits import Limits
from modalities.stacks.limits import check_room

Array = npt.NDArray[Any]

STORED = (
    "SOPClassUID", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PlanarConfiguration", "NumberOfFrames", "PixelData",
    "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor", "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
)  # fmt: skip
"""The elements that the pixels need."""


def open_dataset(data: bytes, limits: Limits, classes: Collection[str], names: Iterable[str]) -> Any:
    """The elements `names` and `STORED` of a file of one of these SOP classes, its sizes checked.

    Raises what `check_file` and `check_room` raise, `UnsupportedFormat` for another SOP class, and
    `CorruptImage` without pixels or with a size that is none.
    """
    if check_file(data, limits) not in classes:
        allowed = ", ".join(SOP_CLASSES[uid][0] for uid in classes)
        raise UnsupportedFormat(f"file is a DICOM object of another kind; these are read: {allowed}")
    before = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # every value used is checked
    try:
        dataset = pydicom.dcmread(io.BytesIO(data), specific_tags=sorted({*STORED, *names}))
    finally:
        pydicom.config.settings.reading_validation_mode = before
    if dataset.get("SOPClassUID") != dataset.file_meta.MediaStorageSOPClassUID:
        raise CorruptImage("file is another DICOM object than its header says; export it again")
    if "PixelData" not in dataset:
        raise CorruptImage("file holds no pixel data; send the image itself")
    sides = dataset.get("Columns"), dataset.get("Rows")
    if not all(isinstance(side, int) and side > 0 for side in sides):
        raise CorruptImage("file does not say how many rows and columns it has; export it again")
    colours = 3 if dataset.get("SamplesPerPixel") == 3 else 1
    check_room(frame_count(dataset), int(dataset.Rows), int(dataset.Columns), colours, limits)
    return dataset


def frame_count(dataset: Any) -> int:
    """Number of Frames; one where the element is absent or empty, as in images of a single frame."""
    count = dataset.get("NumberOfFrames")
    return 1 if count is None else int(count)


def stored_samples(dataset: Any, limits: Limits) -> tuple[Array, int]:
    """Samples as they are stored, frames x rows x columns, or frames x rows x columns x 3 in RGB; and bits.

    Colour spaces become RGB and palettes are looked up; grey is left as it is, `MONOCHROME1` too.

    Raises `UnsupportedPixels` for signed samples, another photometric interpretation or bit depth, or
    without a decoder, `CorruptImage` for pixels of another shape than the header says, and whatever pydicom
    raises.
    """
    kind, bits = str(dataset.PhotometricInterpretation), int(dataset.BitsStored)
    if kind not in (*GREY, *COLOUR, PALETTE):
        raise UnsupportedPixels(
            "file has a photometric interpretation that is not read; store it as RGB or grey"
        )
    if not 8 <= bits <= 16 or int(dataset.PixelRepresentation):
        raise UnsupportedPixels(
            "file has signed samples, or fewer than 8 or more than 16 bits; store it unsigned"
        )
    if not decodable(dataset.file_meta.TransferSyntaxUID):
        raise UnsupportedPixels("no decoder of the file's compression is installed; store it uncompressed")
    wanted = (int(dataset.Rows), int(dataset.Columns), *((3,) if kind in COLOUR else ()))
    frames: list[Array] = []
    for number in range(1, frame_count(dataset) + 1):
        check_end(dataset, number, limits)
        frame = pixel_array(dataset, index=number - 1)
        if frame.shape != wanted:
            raise CorruptImage("file has pixels of another shape than its header says; export it again")
        frames.append(apply_color_lut(frame, dataset) if kind == PALETTE else frame)
    if kind == PALETTE:
        bits = 8 * frames[0].dtype.itemsize
    return np.stack(frames), bits
