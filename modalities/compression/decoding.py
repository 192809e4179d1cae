"""How does a compressed file become the graph again? With numpy and the standard library alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import ContractError
from modalities.compression.container import inflate, unseal
from modalities.compression.holes import FLOAT
from modalities.compression.layers import CodedLayer, read_codes, read_layers
from modalities.compression.planes import read_planes
from modalities.compression.structure import AS_FLOAT, AS_HALF, IN_LAYER, Hole, most_for, read_structure


@dataclass(frozen=True, eq=False)
class Opened:
    """A file that is whole: its bytes, its sections, its tensors and how its layers are coded."""

    data: bytes
    table: Sequence[tuple[int, int, int]]
    """Kind, offset and length of every section."""
    holes: Sequence[Hole]
    skeleton: memoryview
    layers: Sequence[CodedLayer]


def open_file(data: bytes) -> Opened:
    """Reads everything but the values. Raises `ContractError` for a file that is not what it claims."""
    data = bytes(data)
    table = unseal(data)
    view, most = memoryview(data), most_for(len(data))
    structure, codes = (inflate(view[start : start + size], most) for _, start, size in table[:2])
    holes, skeleton = read_structure(structure, len(data))
    layers = read_codes(codes, data, [(start, size) for _, start, size in table[3:]], holes)
    wanted = [k for k, hole in enumerate(holes) if hole.stored == IN_LAYER]
    if [layer.hole for layer in layers] != wanted:
        raise ContractError("the layers of the compressed file are not those of its tensors")
    return Opened(data, table, holes, skeleton, layers)


def decode(data: bytes) -> bytes:
    """The serialised ONNX graph that `encode` was given, its layers dense.

    Raises `ContractError` for any other bytes. A file of b bytes never takes memory for more than a graph of
    2 ** 20 + 1024 b bytes, however much it claims.
    """
    opened = open_file(data)
    out = bytearray(len(opened.skeleton) + sum(hole.length for hole in opened.holes))
    places, last, at = [], 0, 0
    for hole in opened.holes:
        size = hole.offset - last
        out[at : at + size] = opened.skeleton[last : hole.offset]
        at, last = at + size, hole.offset
        places.append(at)
        at += hole.length
    out[at:] = opened.skeleton[last:]
    _fill_planes(opened, out, places)
    _fill_layers(opened, out, places)
    return bytes(out)


def _fill_planes(opened: Opened, out: bytearray, places: Sequence[int]) -> None:
    counts = {s: sum(h.elements for h in opened.holes if h.stored == s) for s in (AS_HALF, AS_FLOAT)}
    _, start, size = opened.table[2]
    most = 2 * counts[AS_HALF] + 4 * counts[AS_FLOAT]
    raw = inflate(memoryview(opened.data)[start : start + size], most)
    halves, floats = read_planes(raw, counts[AS_HALF], counts[AS_FLOAT])
    at = {AS_HALF: 0, AS_FLOAT: 0}
    for hole, place in zip(opened.holes, places, strict=True):
        if hole.stored == IN_LAYER:
            continue
        own = halves if hole.stored == AS_HALF else floats
        values = own[at[hole.stored] : at[hole.stored] + hole.elements]
        at[hole.stored] += hole.elements
        out[place : place + hole.length] = values.astype(_form(hole)).tobytes()


def _fill_layers(opened: Opened, out: bytearray, places: Sequence[int]) -> None:
    for layer, (indices, positions) in zip(
        opened.layers, read_layers(opened.data, opened.layers), strict=True
    ):
        hole, place = opened.holes[layer.hole], places[layer.hole]
        codebook = layer.codebook.astype(_form(hole))
        dense = np.zeros(hole.elements, codebook.dtype)
        dense[positions] = codebook[indices]
        out[place : place + hole.length] = dense.tobytes()


def _form(hole: Hole) -> str:
    return "<f4" if hole.element == FLOAT else "<f2"
