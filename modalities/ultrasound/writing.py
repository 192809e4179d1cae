"""How are simulated frames stored as a scanner stores them? A DICOM Ultrasound (Multi-frame) Image.

Written by hand, explicit VR little endian (PS3.5, 7.1.2 and A.2), so that a simulation needs no extra.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SINGLE, MULTI = "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1"
_EXPLICIT = "1.2.840.10008.1.2.1"
_IMPLEMENTATION = "2.25.175823040921"
_BELOW, _RIGHT = 24, 30
_FRAME_TIME_MS = 40
_LONG = ("OB", "SQ")
_PACKED = {"US": "<H", "UL": "<I", "FD": "<d"}

Elements = Mapping[int, tuple[str, Any]]
"""Tag to VR and value."""


def write_dicom(
    frames: npt.NDArray[np.uint8],
    pixel_mm: tuple[float, float],
    frequency_mhz: float,
    *,
    colour: bool = False,
    corner: tuple[int, int] = (40, 20),
) -> bytes:
    """Frames x height x width on a black screen with a grey scale beside them.

    `pixel_mm`: down and across. `colour`: grey as RGB. `corner`: row and column of the picture on the screen.
    UIDs are derived from the content, so the same frames give the same bytes.
    """
    count, height, width = frames.shape
    top, left = corner
    screen = np.zeros((count, top + height + _BELOW, left + width + _RIGHT), np.uint8)
    screen[:, top : top + height, left : left + width] = frames
    scale = np.linspace(255, 0, height).astype(np.uint8)[:, None]
    screen[:, top : top + height, left + width + 8 : left + width + 18] = scale
    raw = (np.repeat(screen[..., None], 3, axis=3) if colour else screen).tobytes()
    sop_class = MULTI if count > 1 else SINGLE
    region: Elements = {
        0x00186012: ("US", 1), 0x00186014: ("US", 1), 0x00186016: ("UL", 0), 0x00186018: ("UL", left),
        0x0018601A: ("UL", top), 0x0018601C: ("UL", left + width - 1), 0x0018601E: ("UL", top + height - 1),
        0x00186024: ("US", 3), 0x00186026: ("US", 3), 0x0018602C: ("FD", pixel_mm[1] / 10),
        0x0018602E: ("FD", pixel_mm[0] / 10), 0x00186030: ("UL", round(1e3 * frequency_mhz)),
    }  # fmt: skip
    elements: dict[int, tuple[str, Any]] = {
        0x00080016: ("UI", sop_class), 0x00080018: ("UI", _uid(raw, 0)), 0x00080060: ("CS", "US"),
        0x00100010: ("PN", "SIMULATED"), 0x00100020: ("LO", ""), 0x00120062: ("CS", "YES"),
        0x00186011: ("SQ", region), 0x0020000D: ("UI", _uid(raw, 1)), 0x0020000E: ("UI", _uid(raw, 2)),
        0x00280002: ("US", 3 if colour else 1), 0x00280004: ("CS", "RGB" if colour else "MONOCHROME2"),
        0x00280010: ("US", screen.shape[1]), 0x00280011: ("US", screen.shape[2]), 0x00280100: ("US", 8),
        0x00280101: ("US", 8), 0x00280102: ("US", 7), 0x00280103: ("US", 0), 0x00280301: ("CS", "NO"),
        0x7FE00010: ("OB", raw),
    }  # fmt: skip
    if colour:
        elements[0x00280006] = ("US", 0)
    if count > 1:
        elements[0x00181063] = ("DS", str(_FRAME_TIME_MS))
        elements[0x00280008] = ("IS", str(count))
        elements[0x00280009] = ("AT", struct.pack("<HH", 0x0018, 0x1063))  # where the frame time stands
    meta = _bytes(
        {
            0x00020001: ("OB", b"\0\1"),
            0x00020002: ("UI", sop_class),
            0x00020003: ("UI", _uid(raw, 0)),
            0x00020010: ("UI", _EXPLICIT),
            0x00020012: ("UI", _IMPLEMENTATION),
        }
    )
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + length + meta + _bytes(elements)


def _bytes(elements: Elements) -> bytes:
    return b"".join(_element(tag, *elements[tag]) for tag in sorted(elements))


def _element(tag: int, vr: str, value: Any) -> bytes:
    if vr == "SQ":
        item = _bytes(value)
        raw = struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item
    elif vr in _PACKED:
        raw = struct.pack(_PACKED[vr], value)
    elif isinstance(value, bytes):
        raw = value + bytes(len(value) % 2)
    else:
        text = str(value).encode("ascii")
        raw = text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)
    size = struct.pack("<HI", 0, len(raw)) if vr in _LONG else struct.pack("<H", len(raw))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + size + raw


def _uid(raw: bytes, number: int) -> str:
    """A UID from a UUID (PS3.5, B.2) that the content decides."""
    digest = hashlib.sha256(bytes([number]) + raw).digest()[:16]
    return f"2.25.{int.from_bytes(digest, 'big')}"
