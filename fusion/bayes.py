"""What follows from Bayes' rule, were images and metadata independent given the class?

    P(c | all)  ~  target(c) * product over m of [P_m(c) / prior_m(c)] ** w_m
                   * [P(age | c) * P(sex | c) * P(site | c)] ** w_metadata

They are not independent, and the weights say how much: two views of one lesion share their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.metadata import DECADES, SEXES, MetadataTables
from fusion.ratio import Ratios
from fusion.rows import Row
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
        total = self.target + self.metadata_weight * self.tables.log(patient)
        for one in evidence:
            total = total + self.weights.get(one.modality, 1.0) * self._ratios.log(one)
        return total


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Errors are those of `read_contract`, and `ContractError` for files that do not fit."""
    contract, bundle = read_contract(NAME, partition, bundle)
    weights, metadata_weight = bundle.require("weights", dict), bundle.require("metadata_weight", float)
    given = [*weights.values(), metadata_weight]
    if set(weights) != set(contract.modalities) or not all(
        isinstance(w, float) and WEIGHT_BOUNDS[0] <= w <= WEIGHT_BOUNDS[1] for w in given
    ):
        raise ContractError(f"the {NAME} fuser needs one weight from 0 to 3 a modality, and one for metadata")
    width = len(partition.ids)
    shapes = {
        "target": (width,),
        "age": (DECADES, width),
        "sex": (len(SEXES), width),
        "site": (len(site_nodes()), width),
    }
    if tuple(bundle.require("sites", list)) != site_nodes():
        raise ContractError(f"the {NAME} fuser was fitted for another vocabulary of body sites")
    found = unpack(content(bundle, TENSORS), shapes)
    tables = MetadataTables(found["age"], found["sex"], found["site"])
    scorer = BayesScorer(partition, found["target"], tables, weights, metadata_weight)
    return FittedFuser(partition, contract, scorer, provenance(bundle), open_ended=True)


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. Strength, weights and temperature are chosen on cross-fitted answers."""
    data = prepare(cases, partition, seed)
    images = image_terms(data)
    tried = [(strength, _terms(data, images, strength)) for strength in STRENGTHS]
    everything = np.ones(len(data.rows), bool)
    scored = [(loss(_logits(t, _weights(data, t, everything)), data.truth, data.weight), s, t) for s, t in tried]
    _, strength, terms = min(scored, key=lambda entry: entry[0])

    def without(fold: int) -> Callable[[BoolArray], FloatArray]:
        weights = _weights(data, terms, data.fold != fold)
        return lambda inside: _logits(terms[inside], weights)

    temperature = fit_temperature(data.crossed(without), data.truth, data.weight)
    *weights, metadata_weight = _weights(data, terms, everything).tolist()
    tables = MetadataTables.fit(data.cases, partition, strength)
    manifest = data.manifest(NAME, temperature, ["scipy"]) | {
        "weights": dict(zip(data.modalities, weights, strict=True)),
        "metadata_weight": metadata_weight,
        "strength": strength,
        "sites": list(site_nodes()),
    }
    return manifest, {TENSORS: pack({"target": data.target(), **tables.arrays()})}


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
        rest[inside, 1] = [tables.log(_patient(data.rows[i])) for i in inside]
    return np.concatenate([rest[:, :1], images, rest[:, 1:]], axis=1)


def _patient(row: Row) -> PatientMetadata:
    return row.patient


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
