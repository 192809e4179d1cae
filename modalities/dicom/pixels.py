"""Which picture does one frame of a DICOM image show? Runs in the worker.

Colour (`RGB`, `YBR_FULL`, `YBR_FULL_422`, `YBR_ICT`, `YBR_RCT`, `PALETTE COLOR`) becomes RGB by pydicom;
more than 8 bits keep their highest 8. Grey becomes what the file asks to be shown: modality LUT or rescale
(PS3.3, C.11.1), then the first VOI LUT or window (C.11.2.1), else the full range of the stored bits;
`MONOCHROME1` is inverted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.encaps import get_frame
from pydicom.multival import MultiValue
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from core.errors import CorruptImage, UnsupportedPixels
from modalities.images.header import check_jpeg
from modalities.images.limits import Limits

Array = npt.NDArray[Any]
ByteImage = npt.NDArray[np.uint8]

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"

_JPEG = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81))
"""JPEG and JPEG-LS, whose markers are found alike."""
_JPEG_2000 = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91))
_END_OF_CODESTREAM = b"\xff\xd9"
_PADDING = 32
"""Bytes that may stand behind it, its own two included."""


def frame_pixels(dataset: Any, frame: int, limits: Limits) -> ByteImage:
    """Frame number `frame`, from 1, as uint8, height x width x 3.

    Raises `UnsupportedPixels` for another photometric interpretation, bit depth or signed colour, or without
    a decoder, `CorruptImage` for pixels of another shape than the header says, and whatever pydicom raises.
    """
    kind, stored = str(dataset.PhotometricInterpretation), int(dataset.BitsStored)
    if kind not in (*GREY, *COLOUR, PALETTE):
        raise UnsupportedPixels(
            "file has a photometric interpretation that is not read; store it as RGB or grey"
        )
    if not 8 <= stored <= 16:
        raise UnsupportedPixels("file has fewer than 8 or more than 16 bits a sample; store it with 8 or 16")
    if not decodable(dataset.file_meta.TransferSyntaxUID):
        raise UnsupportedPixels(
            "no decoder of the file's compression is installed; store it uncompressed, or install "
            "pylibjpeg-libjpeg for JPEG lossless"
        )
    check_end(dataset, frame, limits)
    array = pixel_array(dataset, index=frame - 1)
    wanted = (int(dataset.Rows), int(dataset.Columns), *((3,) if kind in COLOUR else ()))
    if array.shape != wanted:
        raise CorruptImage("file has pixels of another shape than its header says; export it again")
    if kind in GREY:
        grey = _shown(array, dataset, frame)
        grey = 1 - grey if kind == "MONOCHROME1" else grey
        return np.repeat(np.rint(255 * grey).astype(np.uint8)[:, :, None], 3, axis=2)
    if array.dtype.kind != "u":
        raise UnsupportedPixels("file has signed colour samples; store it unsigned")
    if kind == PALETTE:
        array = apply_color_lut(array, dataset)
        stored = 8 * array.dtype.itemsize
    return (array >> (stored - 8)).astype(np.uint8) if stored > 8 else array.astype(np.uint8)


def decodable(syntax: UID) -> bool:
    """Whether the pixels are not compressed, or pydicom found a decoder."""
    return not syntax.is_encapsulated or bool(get_decoder(syntax).is_available)


def check_end(dataset: Any, frame: int, limits: Limits) -> None:
    """Raises `CorruptImage` for a codestream that stops before its end: decoders fill the rest with grey."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in _JPEG | _JPEG_2000:
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    stream = get_frame(dataset.PixelData, frame - 1, number_of_frames=count)
    if syntax in _JPEG:
        check_jpeg(stream, limits)
    elif _END_OF_CODESTREAM not in stream[-_PADDING:]:
        raise CorruptImage("file holds a JPEG 2000 picture that stops before its end; send the whole file")


def _shown(array: Array, dataset: Any, frame: int) -> Array:
    """Grey from 0 to 1 as the file asks to be shown."""
    rescaled = _rescale(array, _macro(dataset, frame, "PixelValueTransformationSequence"))
    look = _macro(dataset, frame, "FrameVOILUTSequence")
    if getattr(look, "VOILUTSequence", None):
        bits = int(look.VOILUTSequence[0].LUTDescriptor[2])
        looked_up: Array = apply_voi(rescaled.astype(np.int32), look)
        return _unit(looked_up / (2**bits - 1))
    if getattr(look, "WindowWidth", None) is not None:
        return _window(rescaled, look)
    bits, signed = int(dataset.BitsStored), int(dataset.PixelRepresentation)
    ends = np.array([-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] if signed else [0, 2**bits - 1])
    source = _macro(dataset, frame, "PixelValueTransformationSequence")
    if getattr(source, "ModalityLUTSequence", None):
        ends = np.array([0, 2 ** int(source.ModalityLUTSequence[0].LUTDescriptor[2]) - 1])
    else:
        ends = np.sort(_rescale(ends, source))
    return _unit((rescaled - ends[0]) / (ends[1] - ends[0]))


def _unit(values: Array) -> Array:
    """What a display shows of values outside the window: its darkest and its brightest grey."""
    clipped: Array = np.clip(values, 0, 1)
    return clipped


def _rescale(array: Array, source: Any) -> Array:
    rescaled: Array = apply_modality_lut(array, source).astype(np.float64)
    return rescaled


def _window(values: Array, look: Any) -> Array:
    """PS3.3, C.11.2.1.2 and C.11.2.1.3, with an output from 0 to 1."""
    centre, width = _first(look.WindowCenter), _first(look.WindowWidth)
    rule = str(getattr(look, "VOILUTFunction", "LINEAR"))
    least = 1.0 if rule == "LINEAR" else np.finfo(float).tiny
    if not (np.isfinite(centre) and np.isfinite(width) and width >= least):
        raise CorruptImage("file has a window whose width is not above zero; export it again")
    if rule == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -700, 700)))
    if rule == "LINEAR_EXACT":
        return _unit((values - centre) / width + 0.5)
    if rule != "LINEAR":
        raise UnsupportedPixels("file has a VOI LUT function that is not read; store it with LINEAR")
    if width == 1:
        return (values > centre - 0.5).astype(np.float64)
    return _unit((values - (centre - 0.5)) / (width - 1) + 0.5)


def _first(value: Any) -> float:
    return float(value[0] if isinstance(value, MultiValue) else value)


def _macro(dataset: Any, frame: int, keyword: str) -> Any:
    """Where the frame's own attributes stand: its functional group, the shared one, or the data set
    itself.
    """
    for groups, index in (
        ("PerFrameFunctionalGroupsSequence", frame - 1),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        found = getattr(dataset, groups, None)
        if found is not None and index < len(found):
            items = getattr(found[index], keyword, None)
            if items:
                return items[0]
    return dataset
