"""Which B-mode pictures does a file hold? Runs in the process that may die.

DICOM Ultrasound Image and Ultrasound Multi-frame Image (PS3.3, A.6 and A.7), grey or grey stored as RGB,
and stills as PNG, TIFF, BMP, WebP or JPEG.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import CorruptImage, MissingExtra, UnsupportedPixels
from modalities.images.header import check_bytes
from modalities.images.limits import Limits
from modalities.images.pixels import decode_pixels
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, FloatArray, Stack

SOP_CLASSES = ("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1")
CHANNEL = "B-mode"

_NAMES = ("SequenceOfUltrasoundRegions", "PixelSpacing", "FrameTime", "FrameTimeVector", "BurnedInAnnotation")
_TINT = 24
"""Grey levels of 256 between the channels of one pixel, above which it is drawn in colour: JPEG's own chroma
errors stay below."""
_MOST_COLOUR = 0.02
"""Share of pixels in colour up to which it is a ruler or a caliper, and not Doppler or a colour scale."""
_MS_PER_DAY = 86_400_000.0
_STILL = (
    "a still of no calibration: no size of a pixel and no transducer frequency",
    "what a screen shows around the picture was not cut off",
)


def parse(data: bytes, limits: Limits) -> Stack:
    """A `Stack` along `time` (DICOM multi-frame; days since the first frame) or of one plane.

    Values are grey levels as stored, log-compressed by the scanner. The channel's value is the transducer's
    frequency in MHz. Raises `UnsupportedPixels` for colour Doppler and colour-coded amplitudes, whose table
    a file does not give, and what the readers of DICOM and of images raise.
    """
    return _dicom(data, limits) if data[128:132] == b"DICM" else _still(data, limits)


def _dicom(data: bytes, limits: Limits) -> Stack:
    try:
        from modalities.dicom.samples import open_dataset, stored_samples
        from modalities.ultrasound.region import region_of
    except ModuleNotFoundError as error:
        if error.name != "pydicom":
            raise
        raise MissingExtra("reading DICOM", "dicom") from None
    dataset = open_dataset(data, limits, SOP_CLASSES, _NAMES)
    region = region_of(dataset)
    samples, bits = stored_samples(dataset, limits)
    samples = samples[:, region.top : region.bottom, region.left : region.right]
    notes = list(region.notes)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        samples = 2**bits - 1 - samples
        notes.append("stored with black as its highest number; turned round")
    values, tinted = _grey(samples, bits)
    notes += tinted
    if dataset.get("BurnedInAnnotation") == "YES":
        notes.append("the file says that text is drawn into its pixels")
    frames, height, width = values.shape
    check_room(frames, height, width, 1, limits)
    return Stack(
        values=values[..., None],
        axis="time" if frames > 1 else "none",
        positions=_times(dataset, frames) if frames > 1 else (),
        spacing_um=region.spacing_um,
        channels=(Channel(CHANNEL, region.frequency_mhz, None if region.frequency_mhz is None else "MHz"),),
        bits=bits,
        notes=tuple(notes),
    )


def _still(data: bytes, limits: Limits) -> Stack:
    name = check_bytes(data, limits)
    pixels, notes = decode_pixels(data, name, limits, None, np.asarray)
    values, tinted = _grey(pixels[None], 8)
    lossy = ("JPEG blocks are taken for echoes; a PNG or TIFF is better",) if name == "JPEG" else ()
    return Stack(
        values=values[..., None], channels=(Channel(CHANNEL),), bits=8,
        notes=(*notes, *tinted, *lossy, *_STILL),
    )  # fmt: skip


def _grey(samples: npt.NDArray[Any], bits: int) -> tuple[FloatArray, list[str]]:
    """Grey of frames x height x width or x 3; drawn colour becomes its darkest channel, noted."""
    if samples.ndim == 3:
        return samples.astype(np.float32), []
    low, high = samples.min(axis=3), samples.max(axis=3)
    coloured = (high.astype(np.int32) - low) > _TINT * 2 ** (bits - 8)
    share = float(coloured.mean())
    if share > _MOST_COLOUR:
        raise UnsupportedPixels(
            "picture is in colour: Doppler, or amplitudes in a scale of colours that the file does not give; "
            "export the B-mode in grey"
        )
    middle = np.median(samples, axis=3)
    values = np.where(coloured, low, middle).astype(np.float32)
    notes = [f"{share:.2%} of the pixels are drawn in colour; of these the darkest channel was taken"]
    return values, notes if share else []


def _times(dataset: Any, frames: int) -> tuple[float | None, ...]:
    """Days since the first frame, from Frame Time or its vector (PS3.3, C.7.6.5), in milliseconds there."""
    vector = dataset.get("FrameTimeVector")
    if vector is not None and len(vector) == frames:
        steps = [float(step) for step in vector]
    elif (step := dataset.get("FrameTime")) is not None:
        steps = [float(step)] * frames
    else:
        return (None,) * frames
    if not all(math.isfinite(step) and step >= 0 for step in steps):
        raise CorruptImage("file has a frame time that is below zero; export it again")
    return tuple(sum(steps[1 : k + 1]) / _MS_PER_DAY for k in range(frames))
