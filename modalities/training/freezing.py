"""How is a net cut in two, so that what its frozen part gives is computed once and kept?"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn

from core.cohort import LabelledImage
from core.errors import RunLocked, TrainingError, did_you_mean
from core.files import write_whole
from modalities.cnn.preprocess import FloatImage, Preprocessing
from modalities.training.augmentation import augment
from modalities.training.checkpoint import locked, watching_space
from modalities.training.config import TrainingConfig
from modalities.training.data import read_all
from modalities.training.machine import device, uses_bf16

HalfArray = npt.NDArray[np.float16]
PAUSE = 2.0
"""Seconds between two looks at activations that another process computes."""
_BLOCK = 64
"""Images whose activations are computed at once."""
_SHAPES = ("architecture", "weights", "partial_weights", "unfold_batch_norm", "frozen", "views", "size")
_PICTURES = ("steps", "test_size", "test_crop", "augmentation", "min_crop_area", "precision", "seed")


@dataclass(frozen=True)
class Activations:
    """What the frozen part gives: `training` images x views x channels x height x width.

    `test` is the same without views. float16, on disk; `row` tells the place of an image by cohort and id.
    """

    training: HalfArray
    test: HalfArray
    row: dict[tuple[str, str], int]

    def rows(self, images: Iterable[LabelledImage]) -> npt.NDArray[np.int64]:
        """Places of images. Raises `TrainingError` for one that has none."""
        try:
            return np.array([self.row[i.cohort, i.image] for i in images], np.int64)
        except KeyError as error:
            raise TrainingError(f"no activations were computed for image {error.args[0][1]}") from None


class _Tracer(fx.Tracer):
    """Takes the layer of the cut as one piece."""

    def __init__(self, layer: str) -> None:
        super().__init__()
        self.layer = layer

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name == self.layer or super().is_leaf_module(m, module_qualified_name)


def check_layer(net: nn.Module, layer: str) -> None:
    """Raises `TrainingError` where the net has no such layer, or something else leads past it."""
    names = [name for name, _ in net.named_modules() if name]
    if layer not in names:
        raise TrainingError(f"frozen: the net has no layer {layer!r}{did_you_mean(layer, names)}")
    if not any(True for _ in upper_part(net, layer).parameters()):
        raise TrainingError(f"frozen: nothing is left to tune behind {layer!r}; name an earlier layer")


def lower_part(net: nn.Module, layer: str) -> nn.Module:
    """The net up to and with a layer; its parameters are the net's own."""
    graph, cut = _trace(net, layer)
    copied = fx.Graph()
    seen: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        seen[node] = copied.node_copy(node, seen.__getitem__)
        if node is cut:
            break
    copied.output(seen[cut])
    return fx.GraphModule(net, copied)


def upper_part(net: nn.Module, layer: str) -> nn.Module:
    """The net behind a layer, in the net's present mode; its parameters are the net's own.

    Raises `TrainingError` where a later layer needs more than this one gives.
    """
    graph, cut = _trace(net, layer)
    copied = fx.Graph()
    seen = {cut: copied.placeholder("activations")}
    behind = False
    try:
        for node in graph.nodes:
            if behind or node.op == "get_attr":
                seen[node] = copied.node_copy(node, seen.__getitem__)
            behind = behind or node is cut
    except KeyError:
        raise TrainingError(
            f"frozen: the net cannot be cut behind {layer!r}, something leads past it; name a layer through "
            "which everything goes"
        ) from None
    return fx.GraphModule(net, copied)


def _trace(net: nn.Module, layer: str) -> tuple[fx.Graph, fx.Node]:
    graph = _Tracer(layer).trace(net)
    calls = [n for n in graph.nodes if n.op == "call_module" and n.target == layer]
    if len(calls) != 1:
        raise TrainingError(f"frozen: {layer!r} is no layer that runs once")
    return graph, calls[0]


def compute(
    net: nn.Module,
    images: Sequence[LabelledImage],
    config: TrainingConfig,
    training: Preprocessing,
    test: Preprocessing,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Activations:
    """Activations of every image, computed once into `folder`, or read from there.

    `net` is the start, in the layout it trains in. `progress` receives images done and in all. Images that
    cannot be read have no row; more than 1 % of them end in `TrainingError`, a full disk in `OutOfSpace`.
    """
    about = {k: v for k, v in config.model_dump(mode="json").items() if k in _SHAPES + _PICTURES}
    names = [[i.cohort, i.image] for i in images]
    lower = lower_part(net.eval(), str(config.frozen))
    key = hashlib.sha256(json.dumps([about, names, _digest(lower)], sort_keys=True).encode()).hexdigest()[:16]
    place = folder / key
    while not (place / "images.json").is_file():
        try:
            with locked(place), watching_space("activations"):
                if not (place / "images.json").is_file():
                    _fill(lower, images, config, training, test, place, progress)
        except RunLocked:
            time.sleep(PAUSE)
    row = {(c, i): k for k, (c, i) in enumerate(json.loads((place / "images.json").read_bytes()))}
    return Activations(
        np.load(place / "training.npy", mmap_mode="r"), np.load(place / "test.npy", mmap_mode="r"), row
    )


def _digest(lower: nn.Module) -> str:
    """sha256 of the weights of the frozen part."""
    found = hashlib.sha256()
    for name, value in sorted(lower.state_dict().items()):
        found.update(name.encode())
        found.update(value.detach().float().contiguous().cpu().numpy().tobytes())
    return found.hexdigest()


def _fill(
    lower: nn.Module,
    images: Sequence[LabelledImage],
    config: TrainingConfig,
    training: Preprocessing,
    test: Preprocessing,
    place: Path,
    progress: Callable[[int, int], None],
) -> None:
    pixels, read, _ = read_all(images, max(training.resize, test.resize), test)
    test = replace(test, steps=())  # they are done
    files: dict[str, np.memmap[tuple[int, ...], np.dtype[np.float16]]] = {}

    def keep(name: str, start: int, made: HalfArray) -> None:
        if name not in files:
            shape = (len(read), *made.shape[1:])
            files[name] = np.lib.format.open_memmap(
                place / f"{name}.npy", mode="w+", dtype=np.float16, shape=shape
            )
        files[name][start : start + len(made)] = made

    def view(k: int, number: int) -> FloatImage:
        rng = np.random.default_rng((config.seed, number, k))
        return training.normalise(augment(pixels[k], rng, config))

    with ThreadPoolExecutor(1) as pool:
        for start in range(0, len(read), _BLOCK):
            block = range(start, min(start + _BLOCK, len(read)))
            seen = [_run(lower, [test(pixels[k]) for k in block], config)]
            views = pool.map(lambda n, block=block: [view(k, n) for k in block], range(config.views))
            made = [_run(lower, pictures, config) for pictures in views]
            keep("test", start, seen[0])
            keep("training", start, np.stack(made, axis=1))
            progress(block.stop, len(read))
    for file in files.values():
        file.flush()
    write_whole(place / "images.json", json.dumps([[i.cohort, i.image] for i in read]).encode())


def _run(lower: nn.Module, pictures: Sequence[FloatImage], config: TrainingConfig) -> HalfArray:
    where = device()
    images = torch.from_numpy(np.stack(pictures)).to(where, memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast(where.type, torch.bfloat16, enabled=uses_bf16(config)):
        made: HalfArray = lower(images).half().cpu().numpy()
    if not np.isfinite(made).all():
        raise TrainingError("frozen: an activation does not fit into float16; choose another layer")
    return made
