"""A DICOM writer of thirty lines, which shares nothing with the library that reads."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("pydicom", reason="the extra dicom is not installed")

from modalities.dicom import DicomReader

DERMOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.7"
EXPLICIT = "1.2.840.10008.1.2.1"
LONG = ("OB", "OW", "SQ", "UN", "UT")
Elements = Mapping[int, tuple[str, Any]]
Make = Callable[..., bytes]


def value_bytes(vr: str, value: Any) -> bytes:
    if vr == "SQ":
        items = [body(item) for item in value]
        return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    if isinstance(value, bytes):
        raw = value
    elif vr in ("US", "SS"):
        values = value if isinstance(value, tuple) else (value,)
        raw = struct.pack(f"<{len(values)}{'H' if vr == 'US' else 'h'}", *values)
    else:
        raw = str(value).encode("latin1")
    return raw + (b"\0" if vr in ("UI", "OB") else b" ") * (len(raw) % 2)


def element(tag: int, vr: str, value: Any) -> bytes:
    raw = value_bytes(vr, value)
    size = struct.pack("<HI", 0, len(raw)) if vr in LONG else struct.pack("<H", len(raw))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + size + raw


def body(elements: Elements) -> bytes:
    return b"".join(element(tag, *elements[tag]) for tag in sorted(elements))


def fragments(*parts: bytes) -> bytes:
    """Encapsulated pixel data (PS3.5, A.4) with an empty offset table, without its element's head."""
    padded = [b"", *(part + b"\0" * (len(part) % 2) for part in parts)]
    items = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(part)) + part for part in padded)
    return items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def dicom_file(
    pixels: npt.NDArray[Any] | bytes,
    elements: Elements | None = None,
    *,
    sop_class: str = DERMOSCOPIC,
    syntax: str = EXPLICIT,
    encapsulated: bool = False,
    without: tuple[int, ...] = (),
) -> bytes:
    """A file of one image; `elements` stand before those that follow from the pixels."""
    found: dict[int, tuple[str, Any]] = {
        0x00080016: ("UI", sop_class),
        0x00080018: ("UI", "1.2.3.4.5"),
        0x0020000D: ("UI", "1.2.3.4"),
        0x0020000E: ("UI", "1.2.3.4.1"),
    }
    if isinstance(pixels, np.ndarray):
        colour = pixels.shape[-1] == 3
        bits = 8 * pixels.dtype.itemsize
        frames = pixels.shape[0] if pixels.ndim - colour == 3 else 1
        rows, columns = pixels.shape[-3:-1] if colour else pixels.shape[-2:]
        found |= {
            0x00280002: ("US", 3 if colour else 1),
            0x00280004: ("CS", "RGB" if colour else "MONOCHROME2"),
            0x00280010: ("US", rows),
            0x00280011: ("US", columns),
            0x00280100: ("US", bits),
            0x00280101: ("US", bits),
            0x00280102: ("US", bits - 1),
            0x00280103: ("US", int(pixels.dtype.kind == "i")),
            0x7FE00010: ("OW" if bits == 16 else "OB", pixels.tobytes()),
        }
        found |= {0x00280006: ("US", 0)} if colour else {}
        found |= {0x00280008: ("IS", frames)} if frames > 1 else {}
    found |= elements or {}
    for tag in without:
        found.pop(tag, None)
    data = body(found)
    if encapsulated and isinstance(pixels, bytes):
        data += struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF) + fragments(pixels)
    head = {0x00020002: ("UI", sop_class), 0x00020003: ("UI", "1.2.3.4.5"), 0x00020010: ("UI", syntax)}
    return b"\0" * 128 + b"DICM" + body(head) + data


def region(code: str, scheme: str = "SCT") -> dict[int, tuple[str, Any]]:
    """An Anatomic Region Sequence of one code."""
    item = {0x00080100: ("SH", code), 0x00080102: ("SH", scheme), 0x00080104: ("LO", "any text")}
    return {0x00082218: ("SQ", [item])}


@pytest.fixture(scope="session")
def make() -> Make:
    return dicom_file


@pytest.fixture(scope="session")
def region_of() -> Callable[..., dict[int, tuple[str, Any]]]:
    return region


@pytest.fixture(scope="session")
def colours() -> npt.NDArray[np.uint8]:
    """A picture, 80 rows by 96 columns, no two corners alike."""
    y, x = np.mgrid[0:80, 0:96]
    return np.stack([2 * x, 3 * y, 255 - x - y], axis=-1).astype(np.uint8)


@pytest.fixture(scope="session")
def reader() -> Iterator[DicomReader]:
    with DicomReader() as one:
        yield one
