"""How does a net get 8 bit weights and activations, in one graph for ONNX Runtime and OpenVINO?

Static quantisation between pairs of QuantizeLinear and DequantizeLinear: weights as signed bytes with a scale
for each output channel, activations as unsigned bytes between the smallest and the largest value that
the calibration images gave (Jacob et al. 2018, arXiv 1712.05877, section 2 and 3). Needs the extra `train`.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core.errors import ContractError, MissingExtra
from modalities.engines import silent
from modalities.engines.engine import FloatArray
from modalities.engines.graphs import check_graph

WEIGHED = ("Conv", "Gemm", "MatMul")
"""Operators that hold weights: the first and the last of them are what `ends` names."""


def quantise(
    graph: bytes,
    images: Iterable[FloatArray],
    *,
    keep: Iterable[str] = (),
    progress: Callable[[], None] | None = None,
) -> bytes:
    """The graph with 8 bit weights and activations, but for the operators named in `keep`.

    `images`: preprocessed, float32 1 x 3 x H x W each, at least one; `progress` is called after each. The
    same graph and images give the same bytes. Raises `ContractError` where there is no image or the graph
    cannot be quantised, `MissingExtra` without the package onnx.
    """
    tools = _tools()
    start = simplified(graph)
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        plain.write_bytes(start)
        try:
            tools.quantize_static(
                plain,
                small,
                _Reader(_input(start), images, progress),
                quant_format=tools.QuantFormat.QDQ,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=tools.CalibrationMethod.MinMax,
                per_channel=True,
                nodes_to_exclude=sorted(keep),
            )
        except ContractError:
            raise
        except Exception as error:  # the quantiser raises whatever onnx, numpy and the runtime do
            raise ContractError(f"the graph cannot be quantised ({type(error).__name__})") from error
        return check_graph(small.read_bytes())


def ends(graph: bytes) -> tuple[str, ...]:
    """Names of the first and the last operator with weights, for `keep`; none in a graph without any."""
    _tools()
    import onnx

    nodes = onnx.load_from_string(simplified(graph)).graph.node
    named = [str(node.name) for node in nodes if node.op_type in WEIGHED]
    return tuple(dict.fromkeys((named[0], named[-1]))) if named else ()


def simplified(graph: bytes) -> bytes:
    """The graph with constants computed and normalisation folded into convolutions, as float32.

    Raises `ContractError` where ONNX Runtime cannot read it.
    """
    onnxruntime = silent.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 4
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(check_graph(graph), options, providers=["CPUExecutionProvider"])
        except ContractError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen classes of its own
            raise ContractError(f"ONNX Runtime cannot read the graph ({type(error).__name__})") from error
        return path.read_bytes()


class _Reader:
    """Hands one image after another to the quantiser."""

    def __init__(self, name: str, images: Iterable[FloatArray], progress: Callable[[], None] | None) -> None:
        self._name, self._images = name, iter(images)
        self._progress, self._any = progress, False

    def get_next(self) -> dict[str, FloatArray] | None:
        """The next image by the name of the net's input; `None` at the end, as the quantiser asks."""
        image = next(self._images, None)
        if self._any and self._progress is not None:
            self._progress()
        if image is None:
            if not self._any:
                raise ContractError("there is no calibration image; give at least one")
            return None
        self._any = True
        return {self._name: image}


def _input(graph: bytes) -> str:
    import onnx

    return str(onnx.load_from_string(graph).graph.input[0].name)


def _tools() -> Any:
    try:
        import onnx  # noqa: F401

        silent.onnxruntime()
        from onnxruntime import quantization
    except ImportError as error:
        raise MissingExtra("an int8 graph", "train") from error
    return quantization


@contextmanager
def _quiet() -> Iterator[None]:
    """The quantiser advises its caller through the root logger, on what is done here already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
