"""What must an app know that runs the file without dxtree? `phone.json` holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.diagnosis import RESEARCH_USE
from core.errors import ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.tree import TreeSums
from modalities.cnn.belonging import check_belongs, read_temperature
from modalities.cnn.preprocess import Preprocessing
from modalities.engines.graphs import sha256_of, source_file

CARD = "phone.json"
FORMAT = 1


def card(bundle: Bundle, partition: Partition) -> dict[str, Any]:
    """Contract, tree and provenance of a bundle's net, JSON-ready.

    Raises `ContractError` where the bundle and the partition do not belong together.
    """
    modality = bundle.require("modality", str)
    check_belongs(bundle, partition, modality, source_file(bundle))
    preprocessing = Preprocessing.from_dict(bundle.require("preprocessing", dict))
    size = preprocessing.size
    return {
        "format": FORMAT,
        "research_use": RESEARCH_USE,
        "name": str(bundle.manifest.get("name", modality)),
        "licence": str(bundle.manifest.get("licence", "not stated")),
        "modality": modality,
        "architecture": bundle.require("architecture", str),
        "source": {"bundle": bundle.digest, "graph": sha256_of(bundle, source_file(bundle))},
        "input": {
            "type": "float32",
            "shape": [1, size, size, 3],
            "layout": "NHWC",
            "channels": "RGB",
            "range": [0, 255],
        },
        "preprocessing": {
            "short_side": preprocessing.resize,
            "filter": "bilinear, antialiased",
            "crop": size,
            "normalisation": "in the file",
        },
        "output": {"type": "float32", "shape": [1, len(partition.ids)], "meaning": "logits of classes"},
        "temperature": read_temperature(bundle),
        "classes": list(partition.ids),
        "taxonomy": {"name": partition.taxonomy.name, "fingerprint": partition.taxonomy.fingerprint},
        "nodes": _nodes(partition),
    }


def _nodes(partition: Partition) -> list[dict[str, Any]]:
    """Every readable node in preorder; `classes` is the range [first, last) whose probabilities it sums."""
    taxonomy, sums = partition.taxonomy, TreeSums(partition)
    found = []
    for node in sums.nodes:
        inside = [k for k, c in enumerate(partition.classes) if taxonomy.covers(node, c.node)]
        if not inside or inside != list(range(inside[0], inside[-1] + 1)):
            raise ContractError(f"the training classes below {node!r} are no range")
        above = taxonomy.path(node)
        found.append(
            {
                "id": node,
                "label": taxonomy.label(node),
                "parent": above[-2] if len(above) > 1 else None,
                "depth": taxonomy.node(node).depth,
                "classes": [inside[0], inside[-1] + 1],
            }
        )
    return found


def with_files(document: Mapping[str, Any], files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The card with what was made of the net, by the file's name."""
    return {**document, "files": {name: dict(about) for name, about in sorted(files.items())}}
