"""What does the OME-XML of a TIFF say of its planes, channels and distances?

Format: OME model 2016-06, docs.openmicroscopy.org/ome-model. The XML may not have a document type, so no
entity is ever expanded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from core.errors import CorruptImage, MissingExtra, MultiFrame, UnsupportedFormat, UnsupportedPixels

MOST_XML = 4_000_000
_LENGTHS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "pm": 1e-6}


@dataclass(frozen=True)
class OmeChannel:
    """One channel; wavelengths in nm, `None` where the file does not say."""

    name: str
    excitation: float | None
    emission: float | None


@dataclass(frozen=True)
class OmePixels:
    """One image: `planes` is the page of each (z, channel); distances in micrometres or `None`."""

    width: int
    height: int
    depth: int
    channels: tuple[OmeChannel, ...]
    planes: dict[tuple[int, int], int]
    spacing_um: tuple[float, float] | None
    step_um: float | None
    bits: int | None


def read_ome(text: str) -> OmePixels:
    """Takes one image of one time from OME-XML.

    Raises `UnsupportedFormat` for other text, `MultiFrame` for several images, times or files,
    `UnsupportedPixels` for colour, `CorruptImage` where numbers are missing or contradict each other.
    """
    root = _root(text)
    images = [e for e in root if _tag(e) == "Image"]
    if len(images) != 1:
        raise MultiFrame(f"file holds {len(images)} OME images; send the one of the lesion")
    pixels = next((e for e in images[0] if _tag(e) == "Pixels"), None)
    if pixels is None:
        raise CorruptImage("OME-XML has an image without pixels; export it again")
    sizes = {axis: _whole(pixels, f"Size{axis}") for axis in "XYZCT"}
    if sizes["T"] != 1:
        raise MultiFrame("file is a series over time; send the stack of one time")
    channels = [e for e in pixels if _tag(e) == "Channel"]
    if any(_whole(e, "SamplesPerPixel", 1) != 1 for e in channels):
        raise UnsupportedPixels("file is a colour image; needed: one channel for each detector")
    if len(channels) != sizes["C"]:
        raise CorruptImage("OME-XML describes another number of channels than it has; export it again")
    across, down = _length(pixels, "PhysicalSizeX"), _length(pixels, "PhysicalSizeY")
    return OmePixels(
        width=sizes["X"],
        height=sizes["Y"],
        depth=sizes["Z"],
        channels=tuple(_channel(e, n) for n, e in enumerate(channels)),
        planes=_planes(pixels, sizes),
        spacing_um=None if across is None or down is None else (down, across),
        step_um=_length(pixels, "PhysicalSizeZ"),
        bits=_whole(pixels, "SignificantBits", 0) or None,
    )


def _root(text: str) -> Any:
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ImportError as error:
        raise MissingExtra("reading OME-TIFF", "spectral") from error
    if len(text) > MOST_XML or "<OME" not in text:
        raise UnsupportedFormat("file is TIFF without OME-XML; export it as OME-TIFF")
    try:
        root = fromstring(text, forbid_dtd=True)
    except (ParseError, ValueError, DefusedXmlException) as error:
        raise CorruptImage("OME-XML is damaged or has a document type; export it again") from error
    if _tag(root) != "OME":
        raise UnsupportedFormat("file is TIFF without OME-XML; export it as OME-TIFF")
    return root


def _tag(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _whole(element: Any, name: str, default: int | None = None) -> int:
    raw = element.get(name)
    if raw is None and default is not None:
        return default
    try:
        value = int(raw)
    except (TypeError, ValueError):
        raise CorruptImage(f"OME-XML has no whole number in {name}; export it again") from None
    if not 0 <= value < 10**7:
        raise CorruptImage(f"OME-XML has a {name} out of range; export it again")
    return value


def _length(element: Any, name: str) -> float | None:
    """In micrometres, the unit that OME takes where none is said."""
    value = _positive(element.get(name))
    factor = _LENGTHS.get(element.get(f"{name}Unit", "µm"))
    return None if value is None or factor is None else value * factor


def _positive(raw: str | None) -> float | None:
    try:
        value = float(raw) if raw is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _channel(element: Any, number: int) -> OmeChannel:
    found = []
    for name in ("ExcitationWavelength", "EmissionWavelength"):
        value = _positive(element.get(name))
        factor = _LENGTHS.get(element.get(f"{name}Unit", "nm"))
        found.append(None if value is None or factor is None else round(value * factor * 1e3, 3))
    return OmeChannel((element.get("Name") or f"channel {number}")[:80], *found)


def _planes(pixels: Any, sizes: dict[str, int]) -> dict[tuple[int, int], int]:
    """Page of each (z, channel), by `DimensionOrder` and the `TiffData` elements."""
    order = [axis for axis in str(pixels.get("DimensionOrder", "")) if axis in "ZCT"]
    if sorted(order) != ["C", "T", "Z"]:
        raise CorruptImage("OME-XML has no DimensionOrder; export it again")
    total = sizes["Z"] * sizes["C"]
    if not 0 < total <= 65_536:
        raise CorruptImage("OME-XML has no planes, or more than a stack has; export it again")
    if len(_files(pixels)) > 1:
        raise MultiFrame("file is one of several that make up the image; export it as one file")
    planes: dict[tuple[int, int], int] = {}
    for element in [e for e in pixels if _tag(e) == "TiffData"]:
        first = _whole(element, "IFD", 0)
        whole = total if element.get("IFD") is None else 1
        place = {axis: _whole(element, f"First{axis}", 0) for axis in "ZCT"}
        start = _number(place, order, sizes)
        for k in range(min(_whole(element, "PlaneCount", whole), total - start)):
            at = _place(start + k, order, sizes)
            planes[at["Z"], at["C"]] = first + k
    if len(planes) != total:
        raise CorruptImage("OME-XML does not say where each plane lies; export it again")
    return planes


def _files(pixels: Any) -> set[str]:
    """Names of the files that the pages lie in, where they are told."""
    return {str(u.get("FileName")) for e in pixels if _tag(e) == "TiffData" for u in e if _tag(u) == "UUID"}


def _number(place: dict[str, int], order: list[str], sizes: dict[str, int]) -> int:
    number, factor = 0, 1
    for axis in order:
        number, factor = number + place[axis] * factor, factor * sizes[axis]
    return number


def _place(number: int, order: list[str], sizes: dict[str, int]) -> dict[str, int]:
    place = {}
    for axis in order:
        number, place[axis] = divmod(number, sizes[axis])
    return place
