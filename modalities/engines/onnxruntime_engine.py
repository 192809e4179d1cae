"""How does ONNX Runtime, which the default install has, run a net?"""

from __future__ import annotations

from typing import Any

import numpy as np

from core.errors import ContractError
from modalities.engines import silent
from modalities.engines.engine import FloatArray
from modalities.engines.graphs import check_graph


class OnnxRuntimeEngine:
    """A graph as ONNX Runtime executes it, from bytes, on `threads` threads a call.

    With `spinning` its threads wait for the next layer by polling, which is faster while nothing else wants
    the cores. Raises `ContractError` where the graph cannot be read.
    """

    def __init__(
        self, graph: bytes, threads: int = 1, *, spinning: bool = False, name: str = "onnxruntime"
    ) -> None:
        onnxruntime = silent.onnxruntime()
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
        # Without VNNI x86 adds pairs of 8 bit products in 16 bits, which saturates; this avoids it there.
        options.add_session_config_entry("session.x64quantprecision", "1")
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                check_graph(graph), options, providers=["CPUExecutionProvider"]
            )
            self._input: str = self._session.get_inputs()[0].name
        except ContractError:
            raise
        except Exception as error:  # ONNX Runtime raises a dozen classes of its own
            raise ContractError(f"ONNX Runtime cannot read the graph ({type(error).__name__})") from error

    def __call__(self, images: FloatArray) -> FloatArray:
        """float32 N x 3 x H x W to logits N x classes. Raises `ContractError` for another shape."""
        try:
            return np.asarray(self._session.run(None, {self._input: images})[0], np.float32)
        except Exception as error:
            raise ContractError(f"ONNX Runtime could not run the graph ({type(error).__name__})") from error
