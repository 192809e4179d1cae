"""What can be refused before one pixel is decoded?

`check_bytes` is plain Python over the bytes, cheap enough for the process that must not be harmed: about
10 ms for 20 MiB, at most some 200 ms for a hostile file. `check_size` and `check_frames` look at what
Pillow read from the header, before it allocates pixels.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from core.errors import (
    CorruptImage,
    EmptyInput,
    ImageTooLarge,
    ImageTooSmall,
    MultiFrame,
    UnsupportedFormat,
)
from modalities.images.limits import Limits

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")

# Classic TIFF and BigTIFF in both byte orders.
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# The sizes that a BMP's second header can have: two letters alone would let any text pass.
_BMP_HEADERS = (12, 40, 52, 56, 64, 108, 124)

# A marker of a JPEG, but neither a stuffed zero, nor fill bytes, nor a restart, which are the three that
# stand inside a scan.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
# Markers that carry a length. Of any other only the two bytes are passed over, as a decoder that
# resynchronises does, so that no scan can hide behind a made-up length.
_WITH_LENGTH = frozenset(
    [*range(0xC0, 0xC8), *range(0xC9, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE]
)
# Real files have some hundreds; without a bound, millions of empty parts would keep this loop busy.
_MAX_PARTS = 100_000


def check_bytes(data: bytes, limits: Limits) -> str:
    """The format of `data`, one of `FORMATS`, told by its first bytes and never by a file name.

    Raises `EmptyInput`, `ImageTooLarge` (bytes, or the canvas of a WebP), `UnsupportedFormat`, and
    `CorruptImage`: a JPEG without end or with too many scans, a PNG with a wrong checksum or without end,
    a WebP shorter than it says.
    """
    if not data:
        raise EmptyInput("image has zero bytes")
    if len(data) > limits.max_bytes:
        raise ImageTooLarge(f"image has {len(data)} bytes; at most {limits.max_bytes} are read")
    name = _sniff(data)
    if name == "JPEG":
        check_jpeg(data, limits)
    elif name == "PNG":
        _check_png(data)
    elif name == "WEBP":
        # Pillow's WebP decoder allocates the canvas as soon as the file is opened.
        check_size(_webp_canvas(data), limits)
    return name


def check_size(size: tuple[int, int], limits: Limits) -> None:
    """Refuse a width and height in pixels: `ImageTooLarge` or `ImageTooSmall`."""
    short, long = sorted(size)
    found = f"image is {size[0]} x {size[1]} pixels"
    if long > limits.max_side:
        raise ImageTooLarge(f"{found}; a side may have at most {limits.max_side}")
    if short * long > limits.max_pixels:
        raise ImageTooLarge(f"{found}; at most {limits.max_pixels} pixels are read")
    if short < limits.min_side:
        raise ImageTooSmall(f"{found}; a side must have at least {limits.min_side}")
    if long > short * limits.max_aspect:
        raise ImageTooLarge(f"{found}; a side may be at most {limits.max_aspect:g} times the other")


def check_frames(image: Image.Image) -> str | None:
    """`MultiFrame` for an animation or several pages; a note for a camera's MPO, read by its first."""
    if not getattr(image, "is_animated", False):
        return None
    if image.format == "MPO":
        return "the file holds several pictures (MPO); the first was read"
    raise MultiFrame("image has several frames or pages; save the one that is meant as a file of its own")


def _sniff(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data.startswith(_TIFF):
        return "TIFF"
    if data.startswith(b"BM") and int.from_bytes(data[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    raise UnsupportedFormat(f"image is in none of the formats {', '.join(FORMATS)}; save it as one of them")


def check_jpeg(data: bytes, limits: Limits) -> None:
    """Walk from marker to marker as libjpeg does, counting scans; raises `CorruptImage`."""
    scans = position = 0
    for _ in range(_MAX_PARTS):
        found = _MARKER.search(data, position)
        if found is None:
            raise CorruptImage("image is a JPEG that stops before its end; send the whole file")
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE:
            return
        if marker == _START_OF_SCAN:
            scans += 1
            if scans > limits.max_scans:
                raise CorruptImage(
                    f"image is a JPEG of more than {limits.max_scans} scans; save it as baseline JPEG"
                )
        if marker in _WITH_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
    raise CorruptImage(f"image is a JPEG of more than {_MAX_PARTS} segments; save it anew")


def _check_png(data: bytes) -> None:
    """Every chunk has a checksum; Pillow leaves those of the pixels unread."""
    view, position = memoryview(data), 8
    for _ in range(_MAX_PARTS):
        end = position + 12 + int.from_bytes(view[position : position + 4], "big")
        if end > len(data):
            raise CorruptImage("image is a PNG that stops before its end; send the whole file")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise CorruptImage("image is a PNG with a wrong checksum; send the file once more")
        if data.startswith(b"IEND", position + 4):
            return
        position = end
    raise CorruptImage(f"image is a PNG of more than {_MAX_PARTS} chunks; save it anew")


def _webp_canvas(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP, from the first chunk."""
    if len(data) < 30 or 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise CorruptImage("image is a WebP that stops before its end; send the whole file")
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    raise CorruptImage("image is a WebP with a damaged header")
