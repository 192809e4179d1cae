"""What follows from Bayes' rule, were images and metadata independent given the class?

    P(c | all)  ~  target(c) * product over m of [P_m(c) / prior_m(c)] ** w_m
                   * [P(age | c) * P(sex | c) * P(site | c)] ** w_metadata

They are not independent, and the weights say how much. That of a modality depends on whether it stands alone
(see `fusion.opinion`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.case import PatientMetadata
from core.errors import ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.calibration import loss
from fusion.features import site_nodes
from fusion.fitted import Contract, FittedFuser, content, provenance, read_contract
from fusion.metadata import DECADES, SEXES, MetadataTables
from fusion.opinion import Weights, fit_weights, is_weight, named, pooled, read_weights
from fusion.opinion import terms as pool_terms
from fusion.ratio import Ratios
from fusion.tensors import pack, unpack
from fusion.training import BoolArray, Fitting, Learned, prepare
from plugins.specs import FusionCase

NAME = "bayes"
TENSORS = "bayes.safetensors"

STRENGTHS = (5.0, 20.0, 80.0)
"""Pseudo-counts that are tried for the metadata tables."""


class BayesScorer:
    """Log target prior plus weighted log ratios. A modality that was not in the fit has weight 1."""

    def __init__(
        self,
        partition: Partition,
        target: FloatArray,
        tables: MetadataTables,
        weights: Weights,
        metadata_weight: float,
    ) -> None:
        self.target, self.tables = target, tables
        self.weights, self.metadata_weight = weights, metadata_weight
        self.ratios = Ratios(partition)

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        return self.from_ratios({e.modality: self.ratios.log(e) for e in evidence}, patient)

    def from_ratios(self, ratios: Mapping[str, FloatArray], patient: PatientMetadata) -> FloatArray:
        """The same from log ratios that are already there, by modality."""
        known = self.target + self.metadata_weight * self.tables.log(patient)
        return np.asarray(known + pooled(self.weights, ratios))


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Errors are those of `read_contract` and `read_scorer`."""
    contract, bundle = read_contract(NAME, partition, bundle)
    scorer = read_scorer(partition, contract, bundle)
    return FittedFuser(partition, contract, scorer, provenance(bundle), open_ended=True)


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. Strength, weights and temperature are chosen on cross-fitted answers."""
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there."""
    found = fit_bayes(data)
    about, answers = data.conclude(NAME, found.crossed, ["scipy"])
    manifest = {**about, **settings(found.scorer), "strength": found.strength}
    return Learned(manifest, {TENSORS: packed(found.scorer)}, answers)


@dataclass(frozen=True)
class BayesFit:
    """A fitted scorer, its pseudo-counts, and logits of every row from fits without the row's fold."""

    scorer: BayesScorer
    strength: float
    crossed: FloatArray


def fit_bayes(data: Fitting) -> BayesFit:
    """Tries every strength; weights are fitted on tables and priors that do not see a row's fold."""
    evidence = [row.evidence for row in data.rows]
    images = pool_terms(Ratios(data.partition), data.modalities, evidence, len(data.partition.ids))
    everything = np.ones(len(data.rows), bool)
    tried = {}
    for strength in STRENGTHS:
        terms = _terms(data, images, strength)
        tried[strength] = loss(_logits(terms, _weights(data, terms, everything)), data.truth, data.weight)
    strength = min(tried, key=tried.__getitem__)
    terms = _terms(data, images, strength)

    def without(fold: int) -> Callable[[BoolArray], FloatArray]:
        weights = _weights(data, terms, data.fold != fold)
        return lambda inside: _logits(terms[inside], weights)

    *weights, metadata_weight = _weights(data, terms, everything).tolist()
    tables = MetadataTables.fit(data.cases, data.partition, strength)
    by_name = named(data.modalities, weights)
    scorer = BayesScorer(data.partition, data.target(), tables, by_name, metadata_weight)
    return BayesFit(scorer, strength, data.crossed(without))


def settings(scorer: BayesScorer) -> dict[str, Any]:
    """The scorer's entries of the manifest."""
    return {
        "weights": scorer.weights,
        "metadata_weight": scorer.metadata_weight,
        "sites": list(site_nodes()),
    }


def packed(scorer: BayesScorer) -> bytes:
    """The scorer's arrays as a file."""
    return pack({"target": scorer.target, **scorer.tables.arrays()})


def read_scorer(partition: Partition, contract: Contract, bundle: Bundle) -> BayesScorer:
    """The reverse of `settings` and `packed`. Raises `ContractError` for what does not fit."""
    weights, metadata_weight = (
        read_weights(bundle, contract.modalities),
        bundle.require("metadata_weight", float),
    )
    if not is_weight(metadata_weight):
        raise ContractError("the bundle needs a metadata_weight from 0 to 3")
    if tuple(bundle.require("sites", list)) != site_nodes():
        raise ContractError("the fuser was fitted for another vocabulary of body sites")
    width = len(partition.ids)
    rows = {"age": DECADES, "sex": len(SEXES), "site": len(site_nodes())}
    shapes = {"target": (width,), **{name: (n, width) for name, n in rows.items()}}
    found = unpack(content(bundle, TENSORS), shapes)
    tables = MetadataTables(found["age"], found["sex"], found["site"])
    return BayesScorer(partition, found["target"], tables, weights, metadata_weight)


def _terms(data: Fitting, images: FloatArray, strength: float) -> FloatArray:
    """Rows x (target, places of the pool, metadata) x classes; a row's own fold is not in its tables."""
    rest = np.zeros((len(data.rows), 2, images.shape[2]))
    for fold in range(data.folds):
        tables = MetadataTables.fit(data.others(fold), data.partition, strength)
        inside = np.flatnonzero(data.fold == fold)
        rest[inside, 0] = data.target(fold)
        rest[inside, 1] = [tables.log(data.rows[i].patient) for i in inside]
    return np.concatenate([rest[:, :1], images, rest[:, 1:]], axis=1)


def _logits(terms: FloatArray, weights: FloatArray) -> FloatArray:
    return np.asarray(terms[:, 0] + np.einsum("rtk,t->rk", terms[:, 1:], weights))


def _weights(data: Fitting, terms: FloatArray, chosen: BoolArray) -> FloatArray:
    """Weights of the pool and of metadata with the least loss on the chosen rows."""
    part = terms[chosen]
    return fit_weights(part[:, 0], part[:, 1:], data.truth[chosen], data.weight[chosen])
