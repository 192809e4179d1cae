"""What can be refused of a DICOM file before a DICOM parser sees it?

The file meta information (PS3.10, 7.1) is always explicit VR little endian, so a few lines of Python read
it: the SOP class and the transfer syntax. Everything behind it is for the process that may die.
"""

from __future__ import annotations

import struct
from pathlib import Path

from core.errors import CorruptImage, EmptyInput, ImageTooLarge, UnsupportedFormat
from modalities.dicom.sop_classes import check_class
from modalities.images.limits import Limits

TRANSFER_SYNTAXES = {
    "1.2.840.10008.1.2": "implicit VR little endian",
    "1.2.840.10008.1.2.1": "explicit VR little endian",
    "1.2.840.10008.1.2.2": "explicit VR big endian",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.51": "JPEG extended",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless, first-order prediction",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS near-lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.5": "RLE lossless",
}
"""UID (PS3.6 table A-1) to name. A file in any other is refused."""

DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SOP_CLASS, _TRANSFER_SYNTAX = 0x0002, 0x0010
_MOST_ELEMENTS = 64
_MARK_AT, _MARK = 128, b"DICM"


def is_dicom(path: Path) -> bool:
    """Whether a regular file bears the mark of the DICOM file format; false where it cannot be read."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(_MARK_AT + len(_MARK))[_MARK_AT:] == _MARK
    except OSError:
        return False


def check_file(data: bytes, limits: Limits) -> str:
    """The SOP class UID of a DICOM file.

    Raises `EmptyInput`, `ImageTooLarge` (bytes), `UnsupportedFormat` (not DICOM, another kind of object, an
    unlisted transfer syntax, deflated data) and `CorruptImage` (file meta information cut or without a UID).
    """
    if not data:
        raise EmptyInput("file has zero bytes")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"file has {len(data)} bytes; at most {limits.max_bytes} are read")
    if data[_MARK_AT : _MARK_AT + len(_MARK)] != _MARK:
        raise UnsupportedFormat("file is not in the DICOM file format; export it as a DICOM part 10 file")
    found = _meta(data)
    if _SOP_CLASS not in found or _TRANSFER_SYNTAX not in found:
        raise CorruptImage("file has no SOP class or transfer syntax in its DICOM header; export it again")
    check_class(found[_SOP_CLASS])
    syntax = found[_TRANSFER_SYNTAX]
    if syntax == DEFLATED:
        raise UnsupportedFormat("file is deflated DICOM, which may unpack to any size; store it without")
    if syntax not in TRANSFER_SYNTAXES:
        raise UnsupportedFormat(
            f"file has a transfer syntax that is not read; store it in one of: "
            f"{', '.join(TRANSFER_SYNTAXES.values())}"
        )
    return found[_SOP_CLASS]


def _meta(data: bytes) -> dict[int, str]:
    """Element number to text, of the elements of group 2. Raises `CorruptImage`."""
    found: dict[int, str] = {}
    position = 132
    for _ in range(_MOST_ELEMENTS):
        head = data[position : position + 8]
        if len(head) < 8:
            break
        group, element = struct.unpack_from("<HH", head)
        if group != 2:
            return found
        if head[4:6] in _LONG:
            start, size = position + 12, int.from_bytes(data[position + 8 : position + 12], "little")
        else:
            start, size = position + 8, int.from_bytes(head[6:8], "little")
        position = start + size
        if position > len(data):
            break
        if element in (_SOP_CLASS, _TRANSFER_SYNTAX):
            found[element] = data[start:position].rstrip(b"\0 ").decode("ascii", "replace")
    raise CorruptImage("file stops within its DICOM header, or the header is damaged; export it again")
