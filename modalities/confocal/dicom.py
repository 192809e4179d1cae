"""Which planes does a DICOM confocal image hold? Runs in the process that may die; needs pydicom."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from core.errors import CorruptImage, MultiFrame, UnsupportedPixels
from modalities.confocal.fields import is_mosaic, unsaid
from modalities.dicom.samples import frame_count, open_dataset, stored_samples
from modalities.images.limits import Limits
from modalities.stacks.stack import Axis, Channel, FloatArray, Stack

SINGLE, TILED = "1.2.840.10008.5.1.4.1.1.77.1.8", "1.2.840.10008.5.1.4.1.1.77.1.9"
CHANNEL = "reflectance"
MM_UM = 1000.0

_NAMES = (
    "PixelSpacing", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "ImageAcquisitionDepth", "ConfocalMode", "DimensionOrganizationType", "FrameTime", "FrameTimeVector",
    "BurnedInAnnotation", "IlluminationWaveLength", "OpticalPathSequence",
)  # fmt: skip


def parse_dicom(data: bytes, limits: Limits) -> Stack:
    """Frames along `depth`, as `tile`s, or one plane, as stored.

    Depth below the surface is Image Acquisition Depth (0048,0117; mm, PS3.3 C.8.35.3), of a frame where its
    functional groups hold it; where the whole image has one and frames have Z offsets in the slide
    coordinate system (micrometres), it is that of the first frame. Wavelength: Illumination Wave Length, nm.

    Raises `UnsupportedPixels` for fluorescence, colour or signed samples, `MultiFrame` for a movie,
    `CorruptImage` for a depth or distance that is no number, and what the readers of DICOM raise.
    """
    dataset = open_dataset(data, limits, (SINGLE, TILED), _NAMES)
    mode = dataset.get("ConfocalMode")
    if mode not in (None, "", "REFLECTANCE"):
        raise UnsupportedPixels("file is not of reflectance; other confocal modes are not read")
    samples, bits = stored_samples(dataset, limits)
    notes = []
    values = _grey(samples)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1":
        values = np.float32(2**bits - 1) - values
        notes.append("stored with black as its highest number; turned round")
    count = frame_count(dataset)
    depths, told = _depths(dataset, count)
    axis = _axis(dataset, count, depths)
    spacing = _spacing(dataset)
    if axis == "depth" and is_mosaic(values.shape, spacing):
        raise MultiFrame("file is a stack of mosaics, which is not read; send one mosaic, or one field")
    depth = depths[0] is not None
    notes += [*told, *unsaid(values.shape, axis, depth=depth, spacing=spacing)]
    if mode in (None, ""):
        notes.append("the file does not say that it is of reflectance; it is taken for that")
    if axis == "none" and depth:
        notes.append(f"the plane lies {depths[0]:.0f} micrometres below the surface")
    if dataset.get("BurnedInAnnotation") == "YES":
        notes.append("the file says that text is drawn into its pixels")
    wave = _wavelength(dataset)
    return Stack(
        values=values[..., None],
        axis=axis,
        positions=depths if axis == "depth" else (),
        spacing_um=spacing,
        channels=(Channel(CHANNEL, wave, None if wave is None else "nm"),),
        bits=bits,
        notes=tuple(notes),
    )


def _grey(samples: Any) -> FloatArray:
    if samples.ndim == 4:
        if (samples != samples[..., :1]).any():
            raise UnsupportedPixels("picture is in colour; reflectance is grey: store the grey frames")
        samples = samples[..., 0]
    return np.asarray(samples, np.float32)


def _axis(dataset: Any, count: int, depths: tuple[float | None, ...]) -> Axis:
    if count == 1:
        return "none"
    if dataset.SOPClassUID == TILED or dataset.get("DimensionOrganizationType") in (
        "TILED_FULL",
        "TILED_SPARSE",
    ):
        return "tile"
    if depths[0] is None and ("FrameTime" in dataset or "FrameTimeVector" in dataset):
        raise MultiFrame("file is a movie of one place; send a stack over depth, or one frame")
    return "depth"


def _depths(dataset: Any, count: int) -> tuple[tuple[float | None, ...], list[str]]:
    """Micrometres below the surface, all known or all `None`, and notes."""
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    if groups and len(groups) != count:
        raise CorruptImage("file describes another number of frames than it has; export it again")
    own = [_number(_inside(group, "ImageAcquisitionDepth")) for group in groups]
    if groups and None not in own:
        return tuple(MM_UM * d for d in own if d is not None), []
    whole = _number(dataset.get("ImageAcquisitionDepth"))
    if count == 1:
        return (None if whole is None else MM_UM * whole,), []
    offsets = [_number(_inside(group, "ZOffsetInSlideCoordinateSystem")) for group in groups]
    if whole is None or not groups or None in offsets:
        return (None,) * count, []
    known = [z for z in offsets if z is not None]
    said = "the file's one depth is taken for that of the first frame; the others follow by their Z offsets"
    return tuple(MM_UM * whole + abs(z - known[0]) for z in known), [said]


def _inside(group: Any, keyword: str) -> Any:
    """An element of a functional group, or of the first item of one of its macros."""
    if keyword in group:
        return group.get(keyword)
    for element in group:
        if element.VR == "SQ" and element.value and keyword in element.value[0]:
            return element.value[0].get(keyword)
    return None


def _spacing(dataset: Any) -> tuple[float, float] | None:
    """Pixel Spacing in mm, of the shared group, the first frame or the image itself; rows, then columns."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or []
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for group in (*shared[:1], *frames[:1], dataset):
        found = _inside(group, "PixelSpacing") if group is not dataset else dataset.get("PixelSpacing")
        if found is not None and len(found) == 2:
            row, column = (_number(step) for step in found)
            if not row or not column or min(row, column) <= 0:
                raise CorruptImage("file gives a distance of pixels that is not above zero; export it again")
            return MM_UM * row, MM_UM * column
    return None


def _wavelength(dataset: Any) -> float | None:
    paths = dataset.get("OpticalPathSequence") or []
    found = _number(paths[0].get("IlluminationWaveLength")) if len(paths) == 1 else None
    return found if found else None


def _number(value: Any) -> float | None:
    """`None` for an absent or empty element. Raises `CorruptImage` for one that is no finite number."""
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise CorruptImage("file gives a depth or distance that is no number; export it again")
    return number
