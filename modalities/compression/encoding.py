"""How does the graph of a net with sparse, shared weights become a small file?"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from core.errors import ContractError
from modalities.compression.container import CODES, LAYER, MOST_LAYERS, STRUCTURE, TENSORS, deflate, seal
from modalities.compression.holes import FLOAT, HALF, Initializer, initializers
from modalities.compression.layers import write_layer
from modalities.compression.planes import Floats, Halves, as_half, write_planes
from modalities.compression.structure import AS_FLOAT, AS_HALF, IN_LAYER, Hole, most_for, write_structure
from modalities.compression.tensor import SharedTensor

_FORMS = {FLOAT: "<f4", HALF: "<f2"}
SMALL = 64
"""Tensors of fewer bytes stay where they are."""


def encode(graph: bytes, layers: Mapping[str, SharedTensor], *, half: bool = False) -> bytes:
    """The compressed file of a serialised ONNX graph, with `layers` in place of the tensors of their names.

    Nothing is rounded: what `decode` gives back differs from `graph` only in the values of `layers`. With
    `half` every other float32 tensor is rounded to float16, save those with a value that float16 has no room
    for. Raises `ContractError` for a graph that is none, a name that is no float tensor of it, another shape,
    values that the tensor's own type cannot hold, and a graph too large for the format.
    """
    found = initializers(graph)
    named = {t.name: t for t in found}
    for name, tensor in layers.items():
        _check(named.get(name), name, tensor)
    if len(layers) > MOST_LAYERS:
        raise ContractError(f"a compressed file has at most {MOST_LAYERS} layers, not {len(layers)}")
    holes, skeleton, halves, floats = _taken_out(graph, found, layers, half)
    coded = [write_layer(k, layers[hole.name]) for k, hole in enumerate(holes) if hole.stored == IN_LAYER]
    data = seal(
        [
            (STRUCTURE, deflate(write_structure(holes, skeleton))),
            (CODES, deflate(b"".join(code for code, _ in coded))),
            (TENSORS, deflate(write_planes(halves, floats))),
            *((LAYER, body) for _, body in coded),
        ]
    )
    if len(graph) > most_for(len(data)):
        raise ContractError(
            f"a graph of {len(graph)} bytes in a file of {len(data)} is more than may be read back"
        )
    return data


def _taken_out(
    graph: bytes, found: list[Initializer], layers: Mapping[str, SharedTensor], half: bool
) -> tuple[list[Hole], bytes, list[Halves], list[Floats]]:
    """The tensors that go, the graph without their values, and the values of those that are no layer."""
    holes: list[Hole] = []
    skeleton: list[bytes] = []
    halves: list[Halves] = []
    floats: list[Floats] = []
    size = last = 0
    for stored in sorted((t for t in found if t.is_hole), key=lambda t: t.offset):
        kind = IN_LAYER
        if stored.name not in layers:
            if stored.length < SMALL:
                continue
            values = np.frombuffer(graph, _FORMS[stored.element], math.prod(stored.shape), stored.offset)
            short = values if stored.element != FLOAT else as_half(values, exact=not half)
            kind = AS_FLOAT if short is None else AS_HALF
            if short is None:
                floats.append(values)
            else:
                halves.append(short)
        skeleton.append(graph[last : stored.offset])
        size += stored.offset - last
        holes.append(Hole(kind, stored.element, stored.shape, size, stored.name))
        last = stored.offset + stored.length
    return holes, b"".join([*skeleton, graph[last:]]), halves, floats


def _check(stored: Initializer | None, name: str, tensor: SharedTensor) -> None:
    if stored is None or not stored.is_hole:
        raise ContractError(
            f"the graph has no float tensor {name!r} with raw values; give its initializers' names"
        )
    if stored.shape != tensor.shape:
        raise ContractError(f"{name!r} has the shape {tensor.shape}, in the graph {stored.shape}")
    if stored.element != FLOAT and as_half(tensor.codebook) is None:
        raise ContractError(f"{name!r} is float16 in the graph; round its codebook to float16 first")
