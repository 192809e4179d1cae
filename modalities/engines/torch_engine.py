"""How does torch run a net's own weights, read out of its graph? Needs the extra `train`."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np

from core.errors import ContractError, MissingExtra, ModelError
from core.manifest import Bundle
from modalities.engines.engine import FloatArray
from modalities.engines.graphs import check_graph, source_graph


class TorchEngine:
    """The weights of the graph in torchvision's net, eager and in fp32 unless `name` says otherwise.

    Torch has one number of threads for the whole process, and fp32 answers depend on it by a few 1e-6 in a
    logit; so calls take turns, each with all of torch's threads, however many callers there are.

    Raises `ContractError` where the weights cannot be read or are not those of the architecture.
    """

    def __init__(
        self, graph: bytes, architecture: str, classes: int, shared: dict[str, str], name: str = "torch"
    ) -> None:
        try:
            import torch

            from modalities.cnn.torch_net import build, prepare_input
        except ImportError as error:
            raise MissingExtra(f"the engine {name}", "train") from error
        self.name, self._torch, self._lock = name, torch, threading.Lock()
        self._bf16, self._last = name == "torch-bf16", name not in ("torch", "torch-compile")
        net: Any = build(architecture, classes)
        prepare_input(net)
        _load(net, graph, architecture, shared)
        net.eval()
        self._net: Any = net.to(memory_format=torch.channels_last) if self._last else net

    @classmethod
    def of(cls, bundle: Bundle, name: str) -> TorchEngine:
        """The net of a bundle. Raises `ModelError` where torch.compile does not work here."""
        engine = cls(
            source_graph(bundle),
            bundle.require("architecture", str),
            len(bundle.require("classes", list)),
            dict(bundle.manifest.get("shared_parameters", {})),
            name,
        )
        if name == "torch-compile":
            engine.compile(int(bundle.require("preprocessing", dict)["size"]))
        return engine

    def compile(self, size: int) -> None:
        """Compiles for single images of `size` x `size` pixels, which takes up to minutes.

        Raises `ModelError` where it does not work here, as without a C++ compiler.
        """
        self._net = self._torch.compile(self._net, options={"freezing": True})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self(np.zeros((1, 3, size, size), np.float32))
        except Exception as error:  # the compilers below raise whatever they like
            raise ModelError(
                f"torch.compile does not work here ({type(error).__name__}); use another one, such as torch"
            ) from error

    @property
    def net(self) -> Any:
        """The torch module itself, in evaluation mode."""
        return self._net

    def __call__(self, images: FloatArray) -> FloatArray:
        """float32 N x 3 x H x W to logits N x classes."""
        from modalities.cnn.torch_net import logits

        torch = self._torch
        given = torch.from_numpy(images if images.flags.writeable else images.copy())
        if self._last:
            given = given.contiguous(memory_format=torch.channels_last)
        with self._lock, torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            return np.asarray(logits(self._net, given).float().numpy(), np.float32)


def _load(net: Any, graph: bytes, architecture: str, shared: dict[str, str]) -> None:
    import torch

    from modalities.cnn.graph import state_of
    from modalities.cnn.torch_net import load_state

    own = net.state_dict()
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
    load_state(net, state, strict=False)
