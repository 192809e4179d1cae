"""How do the decoder and its worker talk over two pipes?

A frame is four bytes of length (big-endian), that many bytes of JSON, and then, where the JSON says so
under `body`, that many raw bytes. Nothing that can run code, such as pickle, crosses the pipes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, Protocol

_LENGTH = struct.Struct(">I")
_MAX_HEADER = 65_536


class Reader(Protocol):
    """A buffered stream: `read(n)` gives n bytes unless the other side has hung up."""

    def read(self, size: int, /) -> bytes | bytearray:
        """At most `size` bytes."""
        ...


class Writer(Protocol):
    """A raw or buffered stream: `write` gives the number of bytes it took."""

    def write(self, data: memoryview, /) -> int | None:
        """Take some or all of `data`."""
        ...


def write_frame(stream: Writer, header: Mapping[str, object], body: bytes | memoryview = b"") -> None:
    """Send one frame; `body` adds its own length to the header. `OSError` if nobody listens."""
    text = json.dumps({**header, "body": len(body)}, allow_nan=False).encode()
    for part in (_LENGTH.pack(len(text)) + text, body):
        rest = memoryview(part)
        while rest:
            rest = rest[stream.write(rest) :]


def read_frame(stream: Reader, max_body: int) -> tuple[dict[str, Any], bytes | bytearray]:
    """Receive one frame.

    `EOFError` if the other side hung up; `ValueError` if what it sent is not a frame, or if its body is
    longer than `max_body` bytes: the other side may have been taken over by a hostile file.
    """
    (size,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    if size > _MAX_HEADER:
        raise ValueError("the header of a frame is too long")
    header = json.loads(_exactly(stream, size))
    if not isinstance(header, dict):
        raise ValueError("the header of a frame is not an object")
    length = header.get("body")
    if not isinstance(length, int) or not 0 <= length <= max_body:
        raise ValueError("the body of a frame is too long")
    return header, _exactly(stream, length)


def _exactly(stream: Reader, size: int) -> bytes | bytearray:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the other side hung up")
    return data
