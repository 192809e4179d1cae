"""Is a compressed file whole, and where do its sections lie?"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from core.errors import ContractError

MAGIC = b"DXC1"
VERSION = 1
"""Version of the format that this code writes and the newest that it reads."""

STRUCTURE, CODES, TENSORS, LAYER = 1, 2, 3, 4
"""Kinds of section; a file has one each of the first three, in this order, and then one a layer."""

MOST_LAYERS = 4096
_HEAD = struct.Struct("<4sHHQ")
_COUNT = struct.Struct("<I")
_ENTRY = struct.Struct("<III")
_DIGEST = 32
_FIRST = _HEAD.size + _DIGEST
_EXPANSION = 1032
"""Deflate gives at most this many bytes for one."""
_RAW = struct.Struct("<Q")


def seal(sections: Sequence[tuple[int, bytes]]) -> bytes:
    """The file of these sections, each of a kind. Raises `ContractError` where it is 4 GiB and more."""
    offset = first = _FIRST + _COUNT.size + _ENTRY.size * len(sections)
    total = first + sum(len(body) for _, body in sections)
    if total >= 2**32:
        raise ContractError("a compressed file holds less than 4 GiB")
    parts = [_COUNT.pack(len(sections))]
    for kind, body in sections:
        parts.append(_ENTRY.pack(kind, offset, len(body)))
        offset += len(body)
    rest = b"".join([*parts, *(body for _, body in sections)])
    head = _HEAD.pack(MAGIC, VERSION, 0, total)
    return head + hashlib.sha256(head + rest).digest() + rest


def unseal(data: bytes) -> list[tuple[int, int, int]]:
    """Kind, offset and length of every section of a file that is whole, in order and side by side.

    Raises `ContractError` for another format or version, a byte that differs, or another layout.
    """
    if len(data) < _FIRST + _COUNT.size or data[:4] != MAGIC:
        raise ContractError(f"the compressed file does not begin with {MAGIC.decode()} and a whole header")
    _, version, reserved, total = _HEAD.unpack_from(data)
    if version != VERSION or reserved:
        raise ContractError(f"the compressed file has format {version}; this version reads {VERSION}")
    if total != len(data):
        raise ContractError(f"the compressed file has {len(data)} bytes, not {total}; fetch it again")
    digest = hashlib.sha256(data[: _HEAD.size])
    digest.update(memoryview(data)[_FIRST:])
    if digest.digest() != data[_HEAD.size : _FIRST]:
        raise ContractError("the compressed file differs from its own sha256; fetch it again")
    (count,) = _COUNT.unpack_from(data, _FIRST)
    offset = _FIRST + _COUNT.size + _ENTRY.size * count
    if not 3 <= count <= MOST_LAYERS + 3 or offset > total:
        raise ContractError(f"the compressed file cannot have {count} sections")
    found = []
    for k in range(count):
        kind, start, length = _ENTRY.unpack_from(data, _FIRST + _COUNT.size + _ENTRY.size * k)
        if start != offset or length > total - start or kind != (STRUCTURE, CODES, TENSORS, LAYER)[min(k, 3)]:
            raise ContractError(f"section {k} of the compressed file is not where or what it must be")
        found.append((kind, start, length))
        offset += length
    if offset != total:
        raise ContractError("the compressed file has bytes that belong to no section")
    return found


def deflate(raw: bytes) -> bytes:
    """The number of bytes, and they themselves as a raw deflate stream."""
    packer = zlib.compressobj(9, wbits=-15)
    return _RAW.pack(len(raw)) + packer.compress(raw) + packer.flush()


def inflate(packed: memoryview, most: int) -> bytes:
    """What `deflate` was given.

    Raises `ContractError` where the stated number is more than `most` or than deflate can give, or another
    number comes out; never holds more than the stated number.
    """
    if len(packed) < _RAW.size:
        raise ContractError("a section of the compressed file is too short")
    (size,) = _RAW.unpack_from(packed)
    if size > min(most, _EXPANSION * len(packed)):
        raise ContractError(f"a section of the compressed file claims {size} bytes, which is too many")
    unpacker = zlib.decompressobj(wbits=-15)
    try:
        # One byte more than none: 0 would mean no limit.
        raw = unpacker.decompress(packed[_RAW.size :], size + 1)
    except zlib.error:
        raise ContractError("a section of the compressed file cannot be inflated") from None
    if len(raw) != size or not unpacker.eof or unpacker.unused_data or unpacker.unconsumed_tail:
        raise ContractError("a section of the compressed file inflates to another length than it claims")
    return raw


class Cursor:
    """Reads bytes from first to last. Raises `ContractError` where more are asked for than there are."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = memoryview(raw), 0

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        if size > len(self._raw) - self._at:
            raise ContractError("a section of the compressed file ends too early")
        self._at += size
        return self._raw[self._at - size : self._at]

    def unpack(self, form: str) -> tuple[Any, ...]:
        """The next values, as `struct` names them."""
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def rest(self) -> memoryview:
        """All that is left."""
        return self.take(len(self._raw) - self._at)

    def end(self) -> None:
        """Raises `ContractError` where anything is left."""
        if self._at != len(self._raw):
            raise ContractError("a section of the compressed file has bytes too many")
