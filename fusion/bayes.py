"""What follows from Bayes' rule, were images and metadata independent given the class?

    P(c | all)  ~  target(c) * product over m of [P_m(c) / prior_m(c)] ** w_m
                   * [P(age | c) * P(sex | c) * P(site | c)] ** w_metadata

They are not independent, and the weights say how much: two views of one lesion share their errors.
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
from fusion.calibration import fit_temperature, log_softmax, loss
from fusion.features import site_nodes
from fusion.fitted import Contract, FittedFuser, content, provenance, read_contract
from fusion.metadata import DECADES, SEXES, MetadataTables
from fusion.ratio import Ratios
from fusion.tensors import pack, unpack
from fusion.training import BoolArray, Fitting, prepare
from plugins.specs import FusionCase

NAME = "bayes"
TENSORS = "bayes.safetensors"

STRENGTHS = (5.0, 20.0, 80.0)
"""Pseudo-counts that are tried for the metadata tables."""

WEIGHT_BOUNDS = (0.0, 3.0)
"""A weight below 0 would turn evidence round."""


class BayesScorer:
    """Log target prior plus weighted log ratios. A modality that was not in the fit has weight 1."""

    def __init__(
        self,
        partition: Partition,
        target: FloatArray,
        tables: MetadataTables,
        weights: Mapping[str, float],
        metadata_weight: float,
    ) -> None:
        self.target, self.tables = target, tables
        self.weights, self.metadata_weight = dict(weights), metadata_weight
        self._ratios = Ratios(partition)

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        total = self.target + self.metadata_weight * self.tables.log(patient)
        for one in evidence:
            total = total + self.weights.get(one.modality, 1.0) * self._ratios.log(one)
        return total


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Errors are those of `read_contract` and `read_scorer`."""
    contract, bundle = read_contract(NAME, partition, bundle)
    scorer = read_scorer(partition, contract, bundle)
    return FittedFuser(partition, contract, scorer, provenance(bundle), open_ended=True)


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. Strength, weights and temperature are chosen on cross-fitted answers."""
    data = prepare(cases, partition, seed)
    found = fit_bayes(data)
    temperature = fit_temperature(found.crossed, data.truth, data.weight)
    about = data.manifest(NAME, temperature, ["scipy"])
    manifest = {**about, **settings(found.scorer), "strength": found.strength}
    return manifest, {TENSORS: packed(found.scorer)}


@dataclass(frozen=True)
class BayesFit:
    """A fitted scorer, its pseudo-counts, and logits of every row from fits without the row's fold."""

    scorer: BayesScorer
    strength: float
    crossed: FloatArray


def fit_bayes(data: Fitting) -> BayesFit:
    """Tries every strength; weights are fitted on tables and priors that do not see a row's fold."""
    images = image_terms(data)
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
    by_name = dict(zip(data.modalities, weights, strict=True))
    scorer = BayesScorer(data.partition, data.target(), tables, by_name, metadata_weight)
    return BayesFit(scorer, strength, data.crossed(without))


def settings(scorer: BayesScorer) -> dict[str, Any]:
    """The scorer's entries of the manifest."""
    return {
        "weights": dict(scorer.weights),
        "metadata_weight": scorer.metadata_weight,
        "sites": list(site_nodes()),
    }


def packed(scorer: BayesScorer) -> bytes:
    """The scorer's arrays as a file."""
    return pack({"target": scorer.target, **scorer.tables.arrays()})


def read_scorer(partition: Partition, contract: Contract, bundle: Bundle) -> BayesScorer:
    """The reverse of `settings` and `packed`. Raises `ContractError` for what does not fit."""
    weights, metadata_weight = bundle.require("weights", dict), bundle.require("metadata_weight", float)
    given = [*weights.values(), metadata_weight]
    if set(weights) != set(contract.modalities) or not all(
        isinstance(w, float) and WEIGHT_BOUNDS[0] <= w <= WEIGHT_BOUNDS[1] for w in given
    ):
        raise ContractError("the bundle needs one weight from 0 to 3 a modality, and one for metadata")
    if tuple(bundle.require("sites", list)) != site_nodes():
        raise ContractError("the fuser was fitted for another vocabulary of body sites")
    width = len(partition.ids)
    rows = {"age": DECADES, "sex": len(SEXES), "site": len(site_nodes())}
    shapes = {"target": (width,), **{name: (n, width) for name, n in rows.items()}}
    found = unpack(content(bundle, TENSORS), shapes)
    tables = MetadataTables(found["age"], found["sex"], found["site"])
    return BayesScorer(partition, found["target"], tables, weights, metadata_weight)


def image_terms(data: Fitting) -> FloatArray:
    """Rows x modalities x classes: log ratios, 0 where a modality is absent."""
    ratios = Ratios(data.partition)
    terms = np.zeros((len(data.rows), len(data.modalities), len(data.partition.ids)))
    for row, out in zip(data.rows, terms, strict=True):
        for one in row.evidence:
            out[data.modalities.index(one.modality)] = ratios.log(one)
    return terms


def _terms(data: Fitting, images: FloatArray, strength: float) -> FloatArray:
    """Rows x (target, modalities, metadata) x classes; target and tables do not see the row's own fold."""
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
    """Weights of modalities and metadata with the least loss on the chosen rows."""
    from scipy.optimize import minimize

    part, truth = terms[chosen], data.truth[chosen]
    weight = data.weight[chosen] / data.weight[chosen].sum()
    at = np.arange(len(truth))

    def loss_and_slope(w: FloatArray) -> tuple[float, FloatArray]:
        log = log_softmax(_logits(part, w))
        gap = np.exp(log)
        gap[at, truth] -= 1
        slope = np.einsum("rk,rtk->t", gap * weight[:, None], part[:, 1:])
        return float(-(weight @ log[at, truth])), slope

    start = np.ones(part.shape[1] - 1)
    found = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", bounds=[WEIGHT_BOUNDS] * len(start))
    return np.asarray(found.x, np.float64)
