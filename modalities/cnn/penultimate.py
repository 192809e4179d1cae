"""What does a net know of an image before it names classes? What its last linear layer is given.

Needs the package onnx (the extra `train`): the graph's output is moved to that layer's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.case import ImageInput
from core.errors import ContractError, MissingExtra
from core.manifest import Bundle
from modalities.cnn.preprocess import ByteImage, Preprocessing, planes_of
from modalities.engines import Engine, finite
from modalities.engines.graphs import source_graph
from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine

_WITHOUT_EFFECT = ("Identity", "Dropout")


@dataclass(frozen=True)
class Penultimate:
    """The net up to its last linear layer, and that layer: `weight` classes x features, `bias` classes."""

    engine: Engine
    preprocessing: Preprocessing
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def of(cls, bundle: Bundle, preprocessing: Preprocessing, threads: int = 1) -> Penultimate:
        """Cuts the net of a checked bundle.

        Raises `ContractError` where the net does not end in a linear layer, or has no graph, and
        `MissingExtra` without onnx.
        """
        graph = source_graph(bundle)
        try:
            import onnx
        except ImportError as error:
            raise MissingExtra("an embedding", "train") from error
        model = onnx.load_model_from_string(graph)
        made = {output: node for node in model.graph.node for output in node.output}
        stored = {t.name: t for t in model.graph.initializer}
        last = made.get(model.graph.output[0].name)
        while last is not None and last.op_type in _WITHOUT_EFFECT:
            last = made.get(last.input[0])
        if last is None or last.op_type != "Gemm":
            raise ContractError("the net does not end in one linear layer, so it has no embedding")

        def values(name: str) -> npt.NDArray[np.float32]:
            maker = made.get(name)  # weights are stored in half precision and cast up
            tensor = stored[maker.input[0] if maker is not None and maker.op_type == "Cast" else name]
            return np.asarray(onnx.numpy_helper.to_array(tensor), np.float32)

        turned = any(a.name == "transB" and a.i for a in last.attribute)
        weight = values(last.input[1]) if turned else values(last.input[1]).T
        bias = values(last.input[2]) if len(last.input) > 2 else np.zeros(len(weight), np.float32)
        del model.graph.output[:]
        model.graph.output.append(
            onnx.helper.make_tensor_value_info(last.input[0], onnx.TensorProto.FLOAT, None)
        )
        return cls(OnnxRuntimeEngine(model.SerializeToString(), threads), preprocessing, weight, bias)

    def embed(self, image: ImageInput) -> npt.NDArray[np.float32]:
        """The features of one image, float32. Raises `InputError` for an image that cannot be read."""
        return self.of_square(planes_of(self.preprocessing.read(image.source).padded))

    def of_square(self, square: ByteImage) -> npt.NDArray[np.float32]:
        """The features of a preprocessed uint8 size x size x 3 image, or its planes."""
        found = finite(self.engine(self.preprocessing.normalise(square)[None]))
        return np.asarray(found[0].reshape(-1), np.float32)

    def logits(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """What the last layer makes of features, N x features, as N x classes."""
        return features.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
