"""What takes how many bytes of a compressed file?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modalities.compression.decoding import Opened, open_file
from modalities.compression.layers import read_layers

HEADER = "(header)"
STRUCTURE = "(graph)"
CODES = "(codes)"
TENSORS = "(other tensors)"
NOT_LAYERS = (HEADER, STRUCTURE, CODES, TENSORS)
"""Names of the sections that are no layer: in order the table of sections, the graph without its values, the
Huffman codes of all layers, the tensors that share no values."""


@dataclass(frozen=True)
class Section:
    """Bytes of one layer, or of what is none and then has no shape; all of a file add up to its length."""

    name: str
    shape: tuple[int, ...] | None
    nonzero: int
    stored: int
    """Elements that have an index; more than `nonzero` where zero is a value of the codebook."""
    values: int
    """Of the codebook."""
    index_bits: float
    """Bits of an index in the mean; 0 without one."""
    codebook_bytes: int
    index_bytes: int
    gap_bytes: int
    total: int


def sections(data: bytes) -> list[Section]:
    """The file's sections, in order. Raises `ContractError` as `decode` does, where it looks."""
    opened = open_file(data)
    sizes = [opened.table[0][1], *(size for _, _, size in opened.table[:3])]
    other = [
        Section(name, None, 0, 0, 0, 0.0, 0, 0, 0, size) for name, size in zip(NOT_LAYERS, sizes, strict=True)
    ]
    return other + _layers(opened)


def _layers(opened: Opened) -> list[Section]:
    found = []
    for layer, (indices, _) in zip(opened.layers, read_layers(opened.data, opened.layers), strict=True):
        hole, stored = opened.holes[layer.hole], layer.indices.count
        zeros = np.flatnonzero(layer.codebook == 0)
        found.append(
            Section(
                name=hole.name,
                shape=hole.shape,
                nonzero=stored - int(np.isin(indices, zeros).sum()),
                stored=stored,
                values=len(layer.codebook),
                index_bits=layer.indices.bits / stored if stored else 0.0,
                codebook_bytes=layer.codebook_bytes,
                index_bytes=layer.index_bytes,
                gap_bytes=layer.gap_bytes,
                total=layer.codebook_bytes + layer.index_bytes + layer.gap_bytes,
            )
        )
    return found
