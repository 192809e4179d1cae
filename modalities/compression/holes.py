"""Where in a serialised ONNX graph do the values of its tensors stand?

Only what is needed of protobuf is read, so that neither onnx nor protobuf need be installed. The graph
without those values is its skeleton; put back in their places, values of the same length make it whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import ContractError

FLOAT, HALF = 1, 10
"""ONNX's numbers of the element types that are taken out."""
SIZES = {FLOAT: 4, HALF: 2}
"""Bytes of an element."""

# Field numbers of onnx.proto: ModelProto, GraphProto, TensorProto.
_GRAPH, _INITIALIZER = 7, 5
_DIMS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_OTHER_DATA = (4, 5, 6, 7, 10, 11)
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


@dataclass(frozen=True)
class Initializer:
    """A named tensor of the graph; its raw values are `length` bytes from `offset`, or elsewhere (-1)."""

    name: str
    element: int
    shape: tuple[int, ...]
    offset: int
    length: int

    @property
    def is_hole(self) -> bool:
        """Its values can be taken out and put back: float16 or float32, all of them in one place."""
        size = SIZES.get(self.element, 0) * math.prod(self.shape)
        return self.element in SIZES and self.offset >= 0 and self.length == size


def initializers(graph: bytes) -> list[Initializer]:
    """The named tensors of a serialised graph, in order.

    Raises `ContractError` for bytes that are no ONNX graph, values in another file, or two of one name.
    """
    try:
        found = list(_walk(graph))
    except (IndexError, UnicodeDecodeError):
        raise ContractError("the bytes to compress are no ONNX graph") from None
    names = [t.name for t in found]
    if len(set(names)) != len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise ContractError(f"the graph has two tensors {twice!r}")
    return found


def _walk(graph: bytes) -> Iterator[Initializer]:
    parts = [
        (a, b) for field, wire, a, b in _fields(graph, 0, len(graph)) if (field, wire) == (_GRAPH, _BYTES)
    ]
    if len(parts) != 1:
        raise ContractError("the bytes to compress are no ONNX graph")
    for field, wire, start, stop in _fields(graph, *parts[0]):
        if (field, wire) == (_INITIALIZER, _BYTES):
            yield _tensor(graph, start, stop)


def _tensor(graph: bytes, start: int, stop: int) -> Initializer:
    name, element, shape, raw, other = "", 0, list[int](), [(-1, -1)], False
    for field, wire, first, last in _fields(graph, start, stop):
        if field == _DIMS and wire == _VARINT:
            shape.append(first)
        elif field == _DIMS:
            while first < last:
                side, first = _varint(graph, first, last)
                shape.append(side)
        elif field == _TYPE:
            element = first
        elif field == _NAME:
            name = graph[first:last].decode()
        elif field == _RAW:
            raw.append((first, last))
        elif field == _EXTERNAL or (field == _LOCATION and first):
            raise ContractError("the graph refers to external data; export it as one file")
        other = other or field in _OTHER_DATA
    if math.prod(shape) == 0 and len(raw) == 1:
        raw.append((stop, stop))
    first, last = raw[-1] if len(raw) < 3 and not other else (-1, -1)
    return Initializer(name, element, tuple(shape), first, last - first)


def _fields(graph: bytes, at: int, stop: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number and wire type, and of bytes where they begin and end, of a number the number itself."""
    while at < stop:
        key, at = _varint(graph, at, stop)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _varint(graph, at, stop)
            yield field, wire, value, 0
            continue
        size = {_EIGHT: 8, _FOUR: 4}.get(wire, -1)
        if wire == _BYTES:
            size, at = _varint(graph, at, stop)
        if size < 0 or size > stop - at:
            raise IndexError
        yield field, wire, at, at + size
        at += size


def _varint(graph: bytes, at: int, stop: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= stop:
            break
        byte = graph[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise IndexError
