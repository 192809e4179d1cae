"""How is one compressed bundle made, or its making resumed?"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import nn

from core.errors import TrainingError
from core.files import write_whole
from core.manifest import OWN_DIGEST, Bundle, read_bundle, write_bundle
from dxtree.compressing.material import Material
from modalities.cnn.graph import export
from modalities.cnn.torch_net import build, load_state, prepare_input
from modalities.compression.canonical import canonical
from modalities.compression.packing import Packed, in_float32, pack
from modalities.compression.pruning import prunable, sparsity_of
from modalities.compression.retraining import PRUNED, compress_net, without_auxiliary
from modalities.compression.settings import CompressionConfig
from modalities.engines import COMPRESSED, GRAPH, INT8
from modalities.engines.graphs import sha256_of, source_file, source_graph
from modalities.engines.records import RECORDS
from modalities.training.loop import Report, TrainingSet
from plugins.model_set import MODALITY_MANIFEST

RETRAINING, BUNDLE, IDENTITY = "retraining", "bundle", "compression.json"
"""Within the folder of one compression: checkpoints, the result, and what it is a compression of."""
ENTRY = "compression"
"""Entry of the manifest: how the file was made."""
_NOT_KEPT = ("format", "files", OWN_DIGEST, RECORDS, "quantisation")
"""Entries that the writer makes itself, or that are true of the dense graph alone."""


@dataclass(frozen=True)
class Made:
    """One compressed net.

    `ratio`: bytes of the dense graph in float32 over bytes of the file. `pruned`: the graph before weights
    shared values, `None` where the run did not keep it.
    """

    config: CompressionConfig
    folder: Path
    packed: Packed
    bundle: Bundle
    sparsity: float
    ratio: float
    pruned: bytes | None

    @property
    def target(self) -> float | None:
        """The ratio that was asked for; `None` where a sparsity was, and no ratio beside it."""
        config = self.config
        asked = config.sparsity is None or "target_ratio" in config.model_fields_set
        return config.target_ratio if asked else None

    @property
    def reached(self) -> bool:
        """Whether the bytes of the file reach it."""
        return self.target is None or self.ratio >= self.target


def make(
    material: Material, data: TrainingSet, config: CompressionConfig, folder: Path, report: Report
) -> Made:
    """Compresses into `folder`: `retraining` holds checkpoints, `bundle` the result.

    The same call goes on after a kill, also from checkpoints that `compress_net` alone wrote there. Raises
    what that raises, and `TrainingError` where the folder holds the compression of another bundle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _check_identity(material.bundle, folder)
    config_of_run, size = material.run.config, int(material.bundle.require("preprocessing", dict)["size"])
    net = compress_net(material.dense(), data, config_of_run, config, folder / RETRAINING, report)
    packed = pack(net, size)
    sparsity = sparsity_of(prunable(net))
    full = len(in_float32(source_graph(material.bundle)))
    ratio = full / len(packed.file)
    entry = {
        "config": config.model_dump(mode="json"),
        "sparsity": sparsity,
        "bits": config.bits,
        "bytes": len(packed.file),
        "float32_bytes": full,
        "ratio": ratio,
        "source": material.bundle.digest,
        "dense": sha256_of(material.bundle, source_file(material.bundle)),
        "temperature": "of the dense net; no out-of-fold answers of the compressed one exist to refit it",
    }
    bundle = _write(material.bundle, packed, entry, folder / BUNDLE)
    return Made(config, folder, packed, bundle, sparsity, ratio, _pruned(material, folder, size))


def _check_identity(bundle: Bundle, folder: Path) -> None:
    path = folder / IDENTITY
    # Digests of the net and not of the manifest: a run's bundle may be made anew.
    own = {"dense": sha256_of(bundle, source_file(bundle)), "classes": bundle.require("classes", list)}
    if path.is_file():
        try:
            held: Any = json.loads(path.read_bytes())
        except ValueError:
            held = None
        if held != own:
            raise TrainingError(f"{folder.name} holds the compression of another bundle; name another folder")
        return
    write_whole(path, json.dumps(own, indent=1).encode())


def _write(dense: Bundle, packed: Packed, entry: Mapping[str, Any], folder: Path) -> Bundle:
    manifest = {k: v for k, v in dense.manifest.items() if k not in _NOT_KEPT}
    manifest |= {"shared_parameters": dict(packed.shared), ENTRY: dict(entry)}
    files = {k: v for k, v in dense.files.items() if k not in (GRAPH, COMPRESSED, INT8)}
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    write_bundle(partial, MODALITY_MANIFEST, manifest, {**files, COMPRESSED: packed.file})
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return read_bundle(folder, MODALITY_MANIFEST)


def _pruned(material: Material, folder: Path, size: int) -> bytes | None:
    path = folder / RETRAINING / PRUNED
    if not path.is_file():
        return None
    net: nn.Module = build(material.run.config.architecture, len(material.run.partition.classes))
    prepare_input(net)
    net = without_auxiliary(net)
    load_state(net, load(path.read_bytes()))
    return export(canonical(net), size)[0]
