"""What is left of a graph when its tensors are taken out, and what goes where?"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import ContractError
from modalities.compression.container import Cursor
from modalities.compression.holes import HALF, SIZES
from modalities.compression.tensor import MOST_ELEMENTS

IN_LAYER, AS_FLOAT, AS_HALF = 0, 1, 2
"""How a tensor is stored: as a layer of shared values, as float32, as float16."""

MOST_GRAPH = 2**30
"""Bytes of the graph that a file may stand for, at most."""
FREE, RATIO = 2**20, 1024
"""A file of b bytes stands for at most FREE + RATIO * b bytes."""
MOST_HOLES = 2**16


@dataclass(frozen=True)
class Hole:
    """A tensor of the graph: how it is stored, its ONNX type, and where in the skeleton its values belong."""

    stored: int
    element: int
    shape: tuple[int, ...]
    offset: int
    name: str

    @property
    def elements(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def length(self) -> int:
        """Bytes of its values in the graph."""
        return self.elements * SIZES[self.element]


def most_for(file: int) -> int:
    """Bytes of graph that a file of so many bytes may stand for."""
    return min(MOST_GRAPH, FREE + RATIO * file)


def write_structure(holes: Sequence[Hole], skeleton: bytes) -> bytes:
    """Both, before they are deflated. Raises `ContractError` for what the format has no room for."""
    if len(holes) > MOST_HOLES:
        raise ContractError(f"a compressed file has at most {MOST_HOLES} tensors, not {len(holes)}")
    parts = [struct.pack("<I", len(holes))]
    for hole in holes:
        name = hole.name.encode()
        if hole.elements > MOST_ELEMENTS or len(hole.shape) > 255 or len(name) > 65535:
            raise ContractError(f"{hole.name[:100]!r} is too large for a compressed file")
        parts.append(struct.pack("<BBBI", hole.stored, hole.element, len(hole.shape), hole.offset))
        parts.append(struct.pack(f"<{len(hole.shape)}I", *hole.shape))
        parts.append(struct.pack("<H", len(name)) + name)
    return b"".join([*parts, skeleton])


def read_structure(raw: bytes, file: int) -> tuple[list[Hole], memoryview]:
    """What `write_structure` was given, of a file of so many bytes.

    Raises `ContractError` where a hole lies outside of the skeleton or before the last one, is of another
    type, or all together are more than such a file may stand for.
    """
    cursor = Cursor(raw)
    (count,) = cursor.unpack("<I")
    if count > MOST_HOLES:
        raise ContractError(f"the compressed file cannot have {count} tensors")
    holes, last, total = [], 0, 0
    for _ in range(count):
        stored, element, sides, offset = cursor.unpack("<BBBI")
        shape = cursor.unpack(f"<{sides}I")
        (length,) = cursor.unpack("<H")
        try:
            name = bytes(cursor.take(length)).decode()
        except UnicodeDecodeError:
            raise ContractError("a tensor of the compressed file has no name that can be read") from None
        hole = Hole(stored, element, shape, offset, name)
        if element not in SIZES or stored not in (IN_LAYER, AS_FLOAT, AS_HALF) or offset < last:
            raise ContractError("a tensor of the compressed file has no known type or place")
        if stored == AS_FLOAT and element == HALF:
            raise ContractError("a float16 tensor of the compressed file is stored as float32")
        if hole.elements > MOST_ELEMENTS:
            raise ContractError(f"a tensor of the compressed file has more than {MOST_ELEMENTS} elements")
        holes.append(hole)
        last, total = offset, total + hole.length
    skeleton = cursor.rest()
    if last > len(skeleton):
        raise ContractError("a tensor of the compressed file lies outside of its graph")
    if total + len(skeleton) > most_for(file):
        raise ContractError(f"the compressed file claims a graph of {total + len(skeleton)} bytes: too many")
    return holes, skeleton
