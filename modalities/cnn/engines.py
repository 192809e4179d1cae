"""What turns a tensor into logits: ONNX Runtime, which the default install has, or torch.

ONNX Runtime is imported when a session is made; torch and onnx only where the torch engine is asked for.
"""

from __future__ import annotations

import re
from typing import Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from core.errors import BundleError, ContractError, MissingExtra, NonFiniteOutput, did_you_mean

EngineName = Literal["auto", "onnxruntime", "torch"]
FloatArray = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs one net. `__call__` takes float32 N x 3 x H x W and answers float32 N x classes, thread-safely."""

    name: str

    def __call__(self, images: FloatArray) -> FloatArray:
        """Logits of preprocessed images."""
        ...


_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")
"""The entry that every tensor with external data must have, in each way that protobuf can write it."""


def check_graph(graph: bytes) -> bytes:
    """The graph itself. Raises `ContractError` where a tensor of it lies in another file.

    ONNX Runtime and onnx would read that file, from the working directory, without its hash being known.
    """
    if _EXTERNAL.search(graph):
        raise ContractError("the graph refers to external data, which is not allowed; export it as one file")
    return graph


class OnnxRuntimeEngine:
    """The graph as ONNX Runtime executes it, from bytes. Raises `ContractError` where it cannot be read."""

    name = "onnxruntime"

    def __init__(self, graph: bytes, threads: int = 0) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
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


class TorchEngine:
    """The same weights, read out of the graph, in torchvision's net. Needs the extra `train`.

    Raises `ContractError` where the weights cannot be read or are not those of the architecture.
    """

    name = "torch"

    def __init__(self, graph: bytes, architecture: str, classes: int, shared: dict[str, str]) -> None:
        try:
            import torch

            from modalities.cnn.graph import state_of
            from modalities.cnn.torch_net import build, load_state, logits, prepare_input
        except ImportError as error:
            raise MissingExtra("the torch engine", "train") from error
        self._torch, self._logits = torch, logits
        self._net = build(architecture, classes)
        prepare_input(self._net)
        own = self._net.state_dict()
        try:
            state = {k: torch.from_numpy(v.copy()) for k, v in state_of(check_graph(graph), shared).items()}
        except ContractError:
            raise
        except Exception as error:  # protobuf and numpy raise several classes on damaged bytes
            raise ContractError(f"onnx cannot read the graph ({type(error).__name__})") from error
        # Counters and tables of indices are no weights, and auxiliary heads are not in the graph.
        needed = {k for k, v in own.items() if v.is_floating_point() and "aux" not in k.lower()}
        other = [k for k, v in state.items() if k not in own or v.shape != own[k].shape]
        if foreign := [*other, *sorted(needed - set(state))]:
            raise ContractError(f"the graph's weights do not fit {architecture}: {foreign[0]!r}")
        load_state(self._net, state, strict=False)
        self._net.eval()

    def __call__(self, images: FloatArray) -> FloatArray:
        """float32 N x 3 x H x W to logits N x classes."""
        with self._torch.inference_mode():
            return np.asarray(self._logits(self._net, self._torch.from_numpy(images)).numpy(), np.float32)


def check_engine(name: str) -> EngineName:
    """The name itself. Raises `BundleError` for an engine that does not exist."""
    for known in get_args(EngineName):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise BundleError(
        f"engine {name!r} is unknown; there are {', '.join(get_args(EngineName))}"
        f"{did_you_mean(name, get_args(EngineName))}"
    )


def finite(logits: FloatArray) -> FloatArray:
    """The logits themselves. Raises `NonFiniteOutput` where one is NaN or infinite."""
    if not np.isfinite(logits).all():
        raise NonFiniteOutput("the net answered with a number that is not finite")
    return logits
