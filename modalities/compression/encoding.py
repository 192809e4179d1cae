"""How does the graph of a net with sparse, shared weights become a small file?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from core.errors import ContractError
from modalities.compression.container import CODES, LAYER, MOST_LAYERS, STRUCTURE, TENSORS, deflate, seal
from modalities.compression.holes import FLOAT, Initializer, initializers
from modalities.compression.layers import write_layer
from modalities.compression.planes import write_planes
from modalities.compression.structure import AS_FLOAT, AS_HALF, IN_LAYER, Hole, most_for, write_structure
from modalities.compression.tensor import SharedTensor

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
    holes: list[Hole] = []
    skeleton, last = [], 0
    halves, floats = [], []
    for tensor in sorted((t for t in found if t.is_hole), key=lambda t: t.offset):
        stored = IN_LAYER
        if tensor.name not in layers:
            if tensor.length < SMALL:
                continue
            raw = graph[tensor.offset : tensor.offset + tensor.length]
            own = np.frombuffer(raw, "<f4" if tensor.element == FLOAT else "<f2")
            values = _halved(own, half)
            stored = AS_FLOAT if values is None else AS_HALF
            (floats if values is None else halves).append(own if values is None else values)
        skeleton.append(graph[last : tensor.offset])
        holes.append(Hole(stored, tensor.element, tensor.shape, sum(map(len, skeleton)), tensor.name))
        last = tensor.offset + tensor.length
    skeleton.append(graph[last:])
    coded = [write_layer(k, layers[hole.name]) for k, hole in enumerate(holes) if hole.stored == IN_LAYER]
    data = seal(
        [
            (STRUCTURE, deflate(write_structure(holes, b"".join(skeleton)))),
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


def _check(stored: Initializer | None, name: str, tensor: SharedTensor) -> None:
    if stored is None or not stored.is_hole:
        raise ContractError(
            f"the graph has no float tensor {name!r} with raw values; give its initializers' names"
        )
    if stored.shape != tensor.shape:
        raise ContractError(f"{name!r} has the shape {tensor.shape}, in the graph {stored.shape}")
    if stored.element != FLOAT and _half(tensor.codebook) is None:
        raise ContractError(f"{name!r} is float16 in the graph; round its codebook to float16 first")


def _halved(values: np.ndarray, rounded: bool) -> np.ndarray | None:
    if values.dtype == np.float16:
        return values
    return _half(values, exact=not rounded)


def _half(values: np.ndarray, *, exact: bool = True) -> np.ndarray | None:
    """float16, or `None` where a value would become infinite or, if `exact`, another."""
    if not (np.abs(values) < 65520).all():
        return None
    half = values.astype("<f2")
    same = not exact or np.array_equal(half.astype("<f4").view("<u4"), values.astype("<f4").view("<u4"))
    return half if same else None
