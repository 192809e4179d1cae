"""Which weights of log ratios and metadata tell the classes apart? Multinomial logistic regression.

    log P(c | all) = bias(c) + sum over m of pool_m * ratio_m(c) + sum over entries x of W(x, c) * x + const

The first two terms are a log-opinion pool, as Bayes' rule has it, with one weight for a modality alone and
one for it among others, whose errors it shares. The penalty draws W to 0 and the bias to the target prior.
So a class with two lesions keeps the pool's answer, and one without any keeps a probability. W(x, c) is a
sum over the nodes of the tree at or above c, so that classes share what their group learns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.case import PatientMetadata
from core.errors import ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion import opinion
from fusion.calibration import log_softmax, loss
from fusion.features import Features
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.ratio import lineage
from fusion.rows import IntArray
from fusion.tensors import pack, unpack
from fusion.training import BoolArray, Fitting, Learned, prepare
from plugins.specs import FusionCase

NAME = "logistic"
TENSORS = "logistic.safetensors"

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3)
"""C, the inverse of the squared penalty's strength, from strong to weak; the first that is best is kept."""

ITERATIONS = 120
"""Steps of L-BFGS, from the pool or from the next stronger penalty."""


@dataclass(frozen=True)
class Design:
    """The rows of a fit: `table` rows x entries, `ratios` rows x places in the pool x classes."""

    table: FloatArray
    ratios: FloatArray

    def __getitem__(self, chosen: BoolArray) -> Design:
        return Design(self.table[chosen], self.ratios[chosen])


@dataclass(frozen=True)
class Weights:
    """`bias` classes, `pool` places (see `fusion.opinion`), `matrix` entries x classes."""

    bias: FloatArray
    pool: FloatArray
    matrix: FloatArray

    def logits(self, design: Design) -> FloatArray:
        """Rows x classes."""
        pooled = np.einsum("rmk,m->rk", design.ratios, self.pool)
        return np.asarray(self.bias + pooled + design.table @ self.matrix)

    def flat(self) -> FloatArray:
        """All numbers in one row."""
        return np.concatenate([self.bias, self.pool, self.matrix.ravel()])

    @classmethod
    def from_flat(cls, values: FloatArray, classes: int, places: int, columns: int) -> Weights:
        """The reverse of `flat`."""
        bias, pool, matrix = np.split(values, [classes, classes + places])
        return cls(bias, pool, matrix.reshape(-1, columns))

    def on(self, tree: FloatArray) -> Weights:
        """From entries x nodes to entries x classes, each class with the sum over the nodes above it."""
        return Weights(self.bias, self.pool, self.matrix @ tree)


class LogisticScorer:
    """The regression on one case. It needs numpy only."""

    def __init__(self, features: Features, weights: Weights) -> None:
        self.features, self.weights = features, weights

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        ratios = {e.modality: self.features.ratios.log(e) for e in evidence}
        total = self.weights.bias + self.features.from_ratios(ratios, patient) @ self.weights.matrix
        for modality, ratio in ratios.items():
            at = opinion.place(self.features.modalities, modality, len(ratios))
            total = total + self.weights.pool[at] * ratio
        return np.asarray(total)


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Raises what `read_contract` does, and `ContractError` for files that do not fit."""
    contract, bundle = read_contract(NAME, partition, bundle)
    features = Features(partition, contract.modalities, contract.fields)
    if tuple(bundle.require("entries", list)) != features.names:
        raise ContractError(f"the {NAME} fuser was fitted on other entries than these; fit it anew")
    width, entries, places = len(partition.ids), len(features.names), opinion.places(contract.modalities)
    shapes = {"bias": (width,), "pool": (places,), "matrix": (entries, width)}
    weights = Weights(**unpack(content(bundle, TENSORS), shapes))
    return FittedFuser(partition, contract, LogisticScorer(features, weights), provenance(bundle))


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. The penalty and the temperature are chosen on cross-fitted answers."""
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there."""
    features = Features(data.partition, data.modalities, data.fields)
    design = design_of(data, features)
    c, logits, score = _chosen(data, design)
    tree = shares(data.partition)
    weights = _start(data.target(), design, tree)
    for weaker in PENALTIES[: PENALTIES.index(c) + 1]:
        weights = fit_weights(design, data.truth, data.weight, data.target(), tree, weaker, weights)
    about, answers = data.conclude(NAME, logits, ["scipy"])
    manifest = about | {"penalty": c, "cross_fitted_loss": score, "entries": list(features.names)}
    return Learned(manifest, {TENSORS: pack(vars(weights.on(tree)))}, answers)


def design_of(data: Fitting, features: Features) -> Design:
    """The design of every row."""
    table = np.stack([features.vector(row.evidence, row.patient) for row in data.rows])
    evidence = [row.evidence for row in data.rows]
    width = len(data.partition.ids)
    return Design(table, opinion.terms(features.ratios, data.modalities, evidence, width))


def _chosen(data: Fitting, design: Design) -> tuple[float, FloatArray, float]:
    """The best penalty, the cross-fitted logits under it and their loss."""
    best: tuple[float, FloatArray, float] | None = None
    tree = shares(data.partition)
    weights = [_start(data.target(fold), design, tree) for fold in range(data.folds)]
    for c in PENALTIES:
        logits = np.empty((len(data.rows), len(data.partition.ids)))
        for fold in range(data.folds):
            seen, target = data.fold != fold, data.target(fold)
            weights[fold] = fit_weights(
                design[seen], data.truth[seen], data.weight[seen], target, tree, c, weights[fold]
            )
            logits[~seen] = weights[fold].on(tree).logits(design[~seen])
        score = loss(logits, data.truth, data.weight)
        if best is not None and score >= best[2]:
            break
        best = c, logits, score
    if best is None:
        raise AssertionError("there is always a first penalty")
    return best


def _start(target: FloatArray, design: Design, tree: FloatArray) -> Weights:
    """The plain pool."""
    return Weights(target, np.ones(design.ratios.shape[1]), np.zeros((design.table.shape[1], len(tree))))


def shares(partition: Partition) -> FloatArray:
    """Nodes x classes: 1 where a class lies at or below the node; the classes themselves come last."""
    nodes, chains = lineage(partition)
    above = np.zeros((len(nodes), len(chains)))
    for k, chain in enumerate(chains):
        above[list(chain), k] = 1.0
    # The root moves all classes alike, which no softmax feels.
    return np.concatenate([above[1:], np.eye(len(chains))])


def fit_weights(
    design: Design,
    truth: IntArray,
    weight: FloatArray,
    target: FloatArray,
    tree: FloatArray,
    c: float,
    start: Weights,
) -> Weights:
    """Weights with the least penalised loss, `matrix` over the nodes of `shares`.

    The loss is the sum of weighted losses plus `(|matrix|^2 + |bias - target|^2) / 2C`.
    """
    from scipy.optimize import minimize

    at, total = np.arange(len(truth)), weight.sum()
    classes, places = len(target), design.ratios.shape[1]

    def loss_and_slope(flat: FloatArray) -> tuple[float, FloatArray]:
        w = Weights.from_flat(flat, classes, places, len(tree))
        log = log_softmax(w.on(tree).logits(design))
        gap = np.exp(log)
        gap[at, truth] -= 1
        gap *= weight[:, None]
        off = w.bias - target
        slope = Weights(
            gap.sum(axis=0) + off / c,
            np.einsum("rk,rmk->m", gap, design.ratios),
            (design.table.T @ gap) @ tree.T + w.matrix / c,
        )
        penalty = (off @ off + np.vdot(w.matrix, w.matrix)) / (2 * c)
        return float((penalty - weight @ log[at, truth]) / total), slope.flat() / total

    found = minimize(
        loss_and_slope, start.flat(), jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS}
    )
    return Weights.from_flat(np.asarray(found.x, np.float64), classes, places, len(tree))
