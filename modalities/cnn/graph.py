"""How does a trained net become one small file that runs without torch? Needs the extra `train`.

The graph keeps torch's parameter names, stores every tensor of two and more dimensions as float16 and
casts it up when it is loaded, so that it computes in float32. It is the only copy of the weights: the
torch engine reads them out of it.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from core.errors import TrainingError

HALF = ".fp16"
OPSET = 17


def export(net: nn.Module, size: int) -> tuple[bytes, dict[str, str]]:
    """The graph of a net in evaluation mode for float32 N x 3 x size x size images.

    Returns its bytes, and for every parameter that equals another to the bit and is therefore stored
    once: its name and the stored one's. Raises `TrainingError` where the net has no graph at this size.
    """
    net = net.cpu().eval()
    try:
        model = _graph_of(net, size)
    except Exception as error:  # the exporter raises classes of its own, and nets assert their size
        raise TrainingError(
            f"{type(net).__name__} cannot be exported at {size} pixels ({type(error).__name__}); "
            "its published size is the safe one"
        ) from error
    _halve(model.graph)
    onnx.checker.check_model(model)
    return model.SerializeToString(), _shared(net, model)


def _graph_of(net: nn.Module, size: int) -> Any:
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        # torch announces the end of this exporter, which alone keeps the parameter names.
        warnings.simplefilter("ignore")
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            net,
            (torch.zeros(1, 3, size, size),),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}},
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            dynamo=False,
        )
        return onnx.load(path)


def _halve(graph: Any) -> None:
    stored, casts = [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim > 1:
            stored.append(numpy_helper.from_array(values.astype(np.float16), tensor.name + HALF))
            casts.append(helper.make_node("Cast", [tensor.name + HALF], [tensor.name], to=TensorProto.FLOAT))
        else:
            stored.append(tensor)
    nodes = list(graph.node)
    del graph.initializer[:]
    del graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend(casts + nodes)


def _shared(net: nn.Module, model: Any) -> dict[str, str]:
    stored = {t.name.removesuffix(HALF) for t in model.graph.initializer}
    state = {k: v for k, v in net.state_dict().items() if v.is_floating_point()}
    same = {(tuple(state[k].shape), state[k].numpy().tobytes()): k for k in state if k in stored}
    found = {}
    for name, value in state.items():
        twin = same.get((tuple(value.shape), value.numpy().tobytes()))
        if name not in stored and twin is not None:
            found[name] = twin
    return found


def state_of(graph: bytes, shared: dict[str, str]) -> dict[str, npt.NDArray[np.float32]]:
    """Torch's parameter names and float32 values, read back out of a graph that `export` wrote."""
    tensors = onnx.load_from_string(graph).graph.initializer
    state = {
        t.name.removesuffix(HALF): np.asarray(numpy_helper.to_array(t), np.float32)
        for t in tensors
        if numpy_helper.to_array(t).dtype in (np.float16, np.float32)
    }
    return state | {name: state[twin] for name, twin in shared.items()}
