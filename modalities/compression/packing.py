"""How does a net whose weights are sparse and shared become a graph, and the graph a file?

Needs the extra `train`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from torch import nn

from modalities.cnn.graph import HALF, export
from modalities.compression.canonical import canonical
from modalities.compression.encoding import encode
from modalities.compression.tensor import SharedTensor

MOST_SHARED = 256
"""A tensor of at most so many values besides zero is stored as a layer of shared values."""


@dataclass(frozen=True)
class Packed:
    """`graph`: ONNX as `modalities.cnn.graph.export` writes it. `shared`: parameters that it stores once,
    each with the name of the stored one. `file`: what `modalities.compression.decode` makes the graph of.
    """

    graph: bytes
    shared: Mapping[str, str]
    file: bytes


def pack(net: nn.Module, size: int) -> Packed:
    """The file of a net for images of `size` pixels, with batch norm in `canonical` form.

    Tensors of two and more dimensions are rounded to float16 and nothing else is. Raises `TrainingError`
    where the net has no graph at this size, `ContractError` where the graph does not fit the format.
    """
    graph, shared = export(canonical(net), size)
    return Packed(graph, shared, encode(graph, layers_of(graph)))


def layers_of(graph: bytes) -> dict[str, SharedTensor]:
    """Tensors of two and more dimensions that hold at most `MOST_SHARED` values besides zero, by name."""
    found = {}
    for tensor in onnx.load_from_string(graph).graph.initializer:
        if len(tensor.dims) < 2 or tensor.data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16):
            continue
        values = np.asarray(numpy_helper.to_array(tensor))
        if np.isfinite(values).all() and len(np.unique(values[values != 0])) <= MOST_SHARED:
            found[tensor.name] = SharedTensor.of(values)
    return found


def in_float32(graph: bytes) -> bytes:
    """The same graph with every tensor that is stored as float16 and cast up stored as float32 instead.

    Its length is what a compressed file is compared with.
    """
    model = onnx.load_from_string(graph)
    stored = {t.name: t for t in model.graph.initializer}
    casts = [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in stored]
    casts = [n for n in casts if n.input[0] == n.output[0] + HALF]
    for cast in casts:
        values = np.asarray(numpy_helper.to_array(stored[cast.input[0]]), np.float32)
        stored[cast.input[0]].CopyFrom(numpy_helper.from_array(values, cast.output[0]))
        model.graph.node.remove(cast)
    return bytes(model.SerializeToString())


def parameters(graph: bytes) -> int:
    """Numbers that a graph stores as float: weights, biases, batch norm."""
    tensors = onnx.load_from_string(graph).graph.initializer
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16)
    return sum(int(np.prod(t.dims)) for t in tensors if t.data_type in kinds)
