"""Which engine runs a bundle's net here, and with how many threads?"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from core.cores import usable_cores
from core.errors import BundleError, MissingExtra
from core.manifest import Bundle
from modalities.engines.engine import Engine
from modalities.engines.graphs import INT8, int8_graph, source_file, source_graph
from modalities.engines.kinds import AUTO, BY_SPEED, KINDS, Kind, check_engine
from modalities.engines.processor import Processor
from modalities.engines.records import is_usable, require_passed


def load_engine(bundle: Bundle, name: str = AUTO, *, calls: int = 1) -> Engine:
    """The named engine with the bundle's net, or the fastest that may be used.

    `calls` says how many threads will call it at the same time: the cores are divided among them, and
    answers are the same to the bit whatever it is. Raises `BundleError` for an unknown name or `calls` below
    1, `MissingExtra` where its package is not installed, and `ContractError` where the bundle records no
    passed check of this graph on it, or the graph cannot be read.
    """
    check_engine(name)
    if calls < 1:
        raise BundleError(f"calls is {calls}; at least one thread calls an engine")
    kind = KINDS[choose_engine(bundle) if name == AUTO else name]
    if kind.extra is not None and not kind.installed:
        raise MissingExtra(f"the engine {kind.name}", kind.extra)
    require_passed(bundle, kind)
    return build_engine(bundle, kind, calls=calls)


def choose_engine(bundle: Bundle, processor: Processor | None = None) -> str:
    """The first of `BY_SPEED` that is installed, passed its check here and suits the processor.

    `onnxruntime` needs no check and is what a bundle without any gets.
    """
    here = processor or Processor.here()
    for name in BY_SPEED:
        kind = KINDS[name]
        if here.suits(kind.precision) and kind.installed and is_usable(bundle, kind):
            return name
    return "onnxruntime"


def maker_of(bundle: Bundle, engine: Engine) -> Callable[[int], Engine]:
    """Builds the engine again, which `load_engine` gave for this bundle, for so many calls at a time.

    It keeps the bytes of one graph. An engine on torch, where calls take turns, is given back itself.
    """
    kind = KINDS[engine.name]
    if kind.package == "torch":
        return lambda _: engine
    file = INT8 if kind.precision == "int8" else source_file(bundle)
    small = Bundle(bundle.manifest, {file: bundle.files[file]}, bundle.digest)
    return lambda calls: build_engine(small, kind, calls=calls)


def net_maker(bundle: Bundle) -> Callable[[], Any]:
    """Gives the torch module of the bundle's own weights, in evaluation mode, built when first asked for.

    It keeps the bytes of the source graph. The call raises `MissingExtra` without the extra `train`, and
    `ContractError` where the weights cannot be read.
    """
    file = source_file(bundle)
    small = Bundle(bundle.manifest, {file: bundle.files[file]}, bundle.digest)

    @cache
    def made() -> Any:
        from modalities.engines.torch_engine import TorchEngine

        return TorchEngine.of(small, "torch").net

    return made


def threads_for(calls: int) -> int:
    """Threads of each of so many calls at a time, at least one: the usable cores divided among them."""
    return max(1, usable_cores() // calls)


def build_engine(bundle: Bundle, kind: Kind, *, calls: int = 1, int8: bytes | None = None) -> Engine:
    """The engine without asking for its check, which `dxtree export` makes; `int8` as the quantised graph.

    Raises `ContractError` where the graph cannot be read.
    """
    if kind.package == "torch":
        from modalities.engines.torch_engine import TorchEngine

        return TorchEngine.of(bundle, kind.name)
    graph = source_graph(bundle) if kind.precision != "int8" else int8 or int8_graph(bundle)
    if kind.package == "openvino":
        from modalities.engines.openvino_engine import Hint, OpenVinoEngine

        hint: Hint = "bf16" if kind.precision == "bf16" else "f32"
        return OpenVinoEngine(graph, hint, threads=threads_for(calls), calls=calls, name=kind.name)
    from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine

    return OnnxRuntimeEngine(graph, threads_for(calls), spinning=calls == 1, name=kind.name)
