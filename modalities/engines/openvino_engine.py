"""How does OpenVINO run a net? Needs the extra `openvino`."""

from __future__ import annotations

import threading
from functools import cache
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np

from core.errors import ContractError, MissingExtra
from modalities.engines.engine import FloatArray
from modalities.engines.graphs import check_graph

Hint = Literal["f32", "bf16"]


@cache
def _runtime() -> Any:
    """OpenVINO's core, one for the life of the process.

    Its plugin for processors gives the thread that loads it another stack for signals and frees that when it
    is unloaded, from whichever thread that happens in: the next Ctrl-C of the first thread then ends the
    process with a segmentation fault (seen with 2026.4). One that is never unloaded frees nothing.
    """
    import openvino

    return openvino.Core()


class OpenVinoEngine:
    """A graph as OpenVINO executes it on the processor, from bytes; every calling thread has its own request.

    `precision` is always said: left to itself OpenVINO computes in bf16, silently, where the processor can.
    An int8 graph is computed as int8 with `f32` between. Raises `ContractError` where the graph cannot be
    read.
    """

    def __init__(
        self,
        graph: bytes,
        precision: Hint = "f32",
        *,
        threads: int = 1,
        calls: int = 1,
        name: str = "openvino",
    ) -> None:
        if find_spec("openvino") is None:
            raise MissingExtra(f"the engine {name}", "openvino")
        self.name = name
        self._own = threading.local()
        settings = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY" if calls == 1 else "THROUGHPUT",
            "INFERENCE_NUM_THREADS": threads * calls,
            "NUM_STREAMS": calls,
        }
        try:
            runtime = _runtime()
            self._model: Any = runtime.compile_model(runtime.read_model(check_graph(graph)), "CPU", settings)
        except ContractError:
            raise
        except Exception as error:  # RuntimeError for most, others from its bindings
            raise ContractError(f"OpenVINO cannot read the graph ({type(error).__name__})") from error

    def __call__(self, images: FloatArray) -> FloatArray:
        """float32 N x 3 x H x W to logits N x classes. Raises `ContractError` for another shape."""
        try:
            request = getattr(self._own, "request", None)
            if request is None:
                request = self._own.request = self._model.create_infer_request()
            request.infer([np.ascontiguousarray(images)], share_inputs=True)
            return np.array(request.get_output_tensor(0).data, np.float32)
        except Exception as error:
            raise ContractError(f"OpenVINO could not run the graph ({type(error).__name__})") from error
