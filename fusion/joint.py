"""How is a net of images and metadata together fitted and read? Once for both ways to let metadata in.

It reads log ratios and not embeddings: nets of different folds share no embedding space, and log ratios mean
the same from every net.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from core.errors import ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.tree import FloatArray
from fusion import opinion
from fusion.calibration import loss
from fusion.descent import EPOCHS, Lessons, descend, torch
from fusion.features import Features
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.logistic import shares
from fusion.nets import WIDTH, Kind, NetScorer, correction, shapes
from fusion.tensors import pack, unpack
from fusion.training import BoolArray, Fitting, Learned

TENSORS = "net.safetensors"


def load(name: str, kind: Kind, partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Raises what `read_contract` does, and `ContractError` for files that do not fit."""
    contract, bundle = read_contract(name, partition, bundle)
    features = Features(partition, contract.modalities, contract.fields)
    if tuple(bundle.require("entries", list)) != features.names:
        raise ContractError(f"the {name} fuser was fitted on other entries than these; fit it anew")
    weights = opinion.read_weights(bundle, contract.modalities)
    arrays = unpack(content(bundle, TENSORS), shapes(kind, features))
    return FittedFuser(partition, contract, NetScorer(kind, features, weights, arrays), provenance(bundle))


def learn(name: str, kind: Kind, data: Fitting) -> Learned:
    """Manifest, files and cross-fitted answers. The epoch and the temperature are chosen on the latter.

    Raises `MissingExtra` where torch is not installed.
    """
    library = torch(name)
    features = Features(data.partition, data.modalities, data.fields)
    layers, tree = shapes(kind, features), shares(data.partition)
    table = np.stack([features.vector(row.evidence, row.patient) for row in data.rows])
    evidence = [row.evidence for row in data.rows]
    parts = opinion.terms(features.ratios, data.modalities, evidence, len(data.partition.ids))

    def start(seen: BoolArray, fold: int | None) -> tuple[FloatArray, FloatArray]:
        """Weights of the pool, and its logits for every row."""
        target = np.broadcast_to(data.target(fold), (len(table), len(data.partition.ids)))
        weights = opinion.fit_weights(target[seen], parts[seen], data.truth[seen], data.weight[seen])
        return weights, target + np.einsum("rtk,t->rk", parts, weights)

    def nets(seen: BoolArray, pool: FloatArray, epochs: int) -> list[dict[str, FloatArray]]:
        lessons = Lessons(table[seen], pool[seen], data.truth[seen], data.weight[seen])
        return descend(kind, layers, tree, lessons, epochs, data.seed, library)

    losses, pools = np.zeros(EPOCHS), list[FloatArray]()
    learned: list[list[dict[str, FloatArray]]] = []
    for fold in range(data.folds):
        inside = data.fold == fold
        weight = data.weight[inside]
        pools.append(start(~inside, fold)[1])
        learned.append(nets(~inside, pools[fold], EPOCHS))
        for k, arrays in enumerate(learned[fold]):
            logits = pools[fold][inside] + correction(kind, arrays, table[inside])
            losses[k] += loss(logits, data.truth[inside], weight) * weight.sum()
    best = int(np.argmin(losses))

    def without(fold: int) -> Callable[[BoolArray], FloatArray]:
        return lambda inside: pools[fold][inside] + correction(kind, learned[fold][best], table[inside])

    everything = np.ones(len(table), bool)
    weights, pool = start(everything, None)
    arrays = nets(everything, pool, best + 1)[-1] | {"target": data.target()}
    about, answers = data.conclude(name, data.crossed(without), ["scipy", "torch"])
    manifest = about | {
        "weights": opinion.named(data.modalities, weights.tolist()),
        "epochs": best + 1,
        "width": WIDTH,
        "entries": list(features.names),
    }
    return Learned(manifest, {TENSORS: pack(arrays)}, answers)
