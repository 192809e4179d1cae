"""What does an OME-TIFF of a multiphoton tomograph hold?"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import CorruptImage, MissingExtra, UnsupportedFormat, UnsupportedPixels
from modalities.images.limits import Limits
from modalities.multiphoton.ome import OmeChannel, OmePixels, read_ome
from modalities.stacks.limits import check_room
from modalities.stacks.stack import Channel, Stack

HARMONIC, FLUORESCENCE, OTHER = "second harmonic", "autofluorescence", "other"
NEEDED = (
    "ExcitationWavelength and EmissionWavelength of a channel that emits at half of its excitation (second "
    "harmonic) and of one that emits between that and 650 nm (autofluorescence)"
)
TOLERANCE_NM = 15.0
"""How far a second-harmonic filter may be centred from half the excitation."""
LONGEST_NM = 650.0
_PACKINGS = {1, 8, 32946, 32773}
"""None, deflate (two numbers of it) and PackBits."""


def read(source: bytes | Path) -> Stack:
    """Planes by depth, channels named by what they record; see `parse`."""
    from modalities.stacks.reading import read_in_child

    return read_in_child(__name__, source)


def parse(data: bytes, limits: Limits) -> Stack:
    """Reads one OME-TIFF: depth x height x width x channels, in the file's own numbers.

    A channel's name says its part (`part_of`) and excitation, its value is the emission in nm. Positions run
    down from the first plane by `PhysicalSizeZ`. Raises `UnsupportedPixels` where wavelengths are missing,
    `UnsupportedFormat` for other files and other packings than none, deflate and PackBits, `CorruptImage`
    where pages are not what the XML says, and what `read_ome` and `check_room` raise.
    """
    try:
        import tifffile
    except ImportError as error:
        raise MissingExtra("reading OME-TIFF", "spectral") from error
    if data[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise UnsupportedFormat("file is not TIFF")
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        ome = read_ome(file.pages.first.description)
        count = len(ome.channels)
        check_room(ome.depth, ome.height, ome.width, count, limits)
        parts = [part_of(channel) for channel in ome.channels]
        if HARMONIC not in parts or FLUORESCENCE not in parts:
            raise UnsupportedPixels(f"file does not tell its channels apart; needed: {NEEDED}")
        values = np.empty((ome.depth, ome.height, ome.width, count), np.float32)
        kind = file.pages.first.dtype
        for (z, c), page in ome.planes.items():
            values[z, :, :, c] = _plane(file.pages, page, ome, kind)
    if kind is None or kind.kind not in "uif":
        raise UnsupportedPixels("file's samples are no real numbers")
    notes = []
    if ome.step_um is None and ome.depth > 1:
        notes.append("the distance of planes (PhysicalSizeZ) is not given")
    if ome.depth > 1:
        notes.append("the first plane is taken as the uppermost")
    return Stack(
        values=values,
        axis="depth" if ome.depth > 1 else "none",
        positions=_depths(ome),
        spacing_um=ome.spacing_um,
        channels=tuple(
            Channel(f"{part}, excited at {c.excitation:g} nm" if c.excitation else part, c.emission, "nm")
            for part, c in zip(parts, ome.channels, strict=True)
        ),
        bits=None if kind.kind == "f" else min(ome.bits or 8 * kind.itemsize, 8 * kind.itemsize),
        notes=tuple(notes),
    )


def part_of(channel: OmeChannel) -> str:
    """`HARMONIC` where the emission is half of the excitation, `FLUORESCENCE` from there to 650 nm.

    Frequency doubling has exactly half of the wavelength; two-photon fluorescence loses energy, so it emits
    above. `OTHER` for anything else, one wavelength unknown included.
    """
    if channel.excitation is None or channel.emission is None:
        return OTHER
    beyond = channel.emission - channel.excitation / 2
    if abs(beyond) <= TOLERANCE_NM:
        return HARMONIC
    inside = beyond > 0 and channel.emission <= min(LONGEST_NM, channel.excitation)
    return FLUORESCENCE if inside else OTHER


def _plane(pages: Any, number: int, ome: OmePixels, kind: Any) -> np.ndarray:
    if number >= len(pages):
        raise CorruptImage("file has fewer pages than its OME-XML says; it is cut short")
    page = pages[number]
    if page.shape != (ome.height, ome.width) or page.dtype != kind:
        raise CorruptImage("file's pages are not of the size or type that its OME-XML says; export it again")
    if int(page.compression) not in _PACKINGS:
        raise UnsupportedFormat("file is packed in another way; save it without compression or with deflate")
    if sum(page.databytecounts) > 1.1 * page.nbytes + 65_536:
        raise CorruptImage("file has pages that pack more than they can hold; export it again")
    return np.asarray(page.asarray())


def _depths(ome: OmePixels) -> tuple[float | None, ...]:
    if ome.depth == 1:
        return ()
    return tuple(None if ome.step_um is None else z * ome.step_um for z in range(ome.depth))
