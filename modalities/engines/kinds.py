"""Which engines are there, and what does each need?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from core.errors import BundleError, did_you_mean

AUTO = "auto"
"""In place of an engine's name: the fastest that this bundle and this machine allow."""

Precision = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True)
class Kind:
    """One engine. `package` is the module it runs on and `extra` what installs that.

    One that is `checked` loads only for a bundle that records that this graph passed on it.
    """

    name: str
    package: str
    extra: str | None
    precision: Precision = "fp32"
    checked: bool = True

    @property
    def installed(self) -> bool:
        """Whether the package is there; nothing is imported."""
        return find_spec(self.package) is not None


_ALL = (
    Kind("torch", "torch", "train", checked=False),
    Kind("torch-channels-last", "torch", "train", checked=False),
    Kind("torch-bf16", "torch", "train", "bf16"),
    Kind("torch-compile", "torch", "train"),
    Kind("onnxruntime", "onnxruntime", None, checked=False),
    Kind("onnxruntime-int8", "onnxruntime", None, "int8"),
    Kind("openvino", "openvino", "openvino"),
    Kind("openvino-bf16", "openvino", "openvino", "bf16"),
    Kind("openvino-int8", "openvino", "openvino", "int8"),
)
KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}
"""Engines by name. The weights themselves in torch, and the graph as exported, need no check."""

BY_SPEED = ("openvino-int8", "onnxruntime-int8", "openvino-bf16", "openvino", "onnxruntime")
"""What `auto` tries in turn: the order of benchmarks/engines.py on Inception v3, 16 images at a time.

Torch is not among them: it is slower and takes seconds to start.
"""


def engine_names() -> tuple[str, ...]:
    """`auto`, then every engine."""
    return (AUTO, *KINDS)


def check_engine(name: str) -> str:
    """The name itself. Raises `BundleError` for an engine that does not exist."""
    if name not in engine_names():
        raise BundleError(
            f"engine {name!r} is unknown; there are {', '.join(engine_names())}"
            f"{did_you_mean(name, engine_names())}"
        )
    return name
