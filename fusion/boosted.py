"""What do trees find beyond Bayes' rule? Gradient boosting (xgboost) that starts from the answer of `bayes`.

Each tree corrects it by what log ratios and metadata say together. What is missing stays missing (NaN), and
every split has learned a side for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from core.case import PatientMetadata
from core.errors import ContractError, MissingExtra
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion import bayes
from fusion.calibration import fit_temperature, loss
from fusion.features import Features
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.training import BoolArray, Fitting, prepare
from plugins.specs import FusionCase

NAME = "boosted"
TREES = "trees.ubj"

MAX_ROUNDS = 60
"""Rounds that are tried; the number with the least cross-fitted loss is kept, 1 at least."""

PARAMETERS: Mapping[str, Any] = {
    "objective": "multi:softprob",
    "tree_method": "hist",
    "max_depth": 3,
    "eta": 0.1,
    "min_child_weight": 10.0,
    "lambda": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "base_score": 0.0,
    "nthread": 1,
}
"""One thread: sums in another order would change bits."""


class Trees(Protocol):
    """What is used of xgboost's `Booster`, which has no complete types of its own."""

    def predict(self, data: object, *, output_margin: bool, iteration_range: tuple[int, int]) -> FloatArray:
        """Rows x classes, float32."""
        ...

    def save_raw(self, raw_format: str) -> bytearray:
        """The model as bytes."""
        ...

    def num_features(self) -> int:
        """Length of the rows it reads."""
        ...


def _xgboost() -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise MissingExtra("the boosted fuser", "boosted") from error
    return xgboost


class BoostedScorer:
    """Bayes' logits plus the trees' margins."""

    def __init__(self, base: bayes.BayesScorer, features: Features, booster: Trees) -> None:
        self.base, self.features, self._booster = base, features, booster

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        start = self.base.logits(evidence, patient)
        row = self.features.vector(evidence, patient)[None, :]
        return np.asarray(start + _margins(self._booster, row, len(start), 0)[0])


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Raises what `read_contract` and `read_scorer` do.

    Also `ContractError` for other entries or trees, and `MissingExtra` where xgboost is not installed.
    """
    contract, bundle = read_contract(NAME, partition, bundle)
    features = Features(partition, contract.modalities, contract.fields, absent=np.nan)
    if tuple(bundle.require("entries", list)) != features.names:
        raise ContractError(f"the {NAME} fuser was fitted on other entries than these; fit it anew")
    base = bayes.read_scorer(partition, contract, bundle)
    # The bytes are those whose sha256 was checked: a damaged file crashes xgboost's parser.
    booster = _xgboost().Booster({"nthread": 1}, model_file=bytearray(content(bundle, TREES)))
    if booster.num_features() != len(features.names):
        raise ContractError(f"the trees of the {NAME} fuser read {booster.num_features()} entries")
    return FittedFuser(partition, contract, BoostedScorer(base, features, booster), provenance(bundle))


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. The number of rounds and the temperature are chosen on cross-fitted answers."""
    data = prepare(cases, partition, seed)
    base = bayes.fit_bayes(data)
    features = Features(partition, data.modalities, data.fields, absent=np.nan)
    table = np.stack([features.vector(row.evidence, row.patient) for row in data.rows])
    everything = np.ones(len(data.rows), bool)
    rounds, logits = _rounds(data, table, base.crossed)
    temperature = fit_temperature(logits, data.truth, data.weight)
    booster = _boost(data, table, base.crossed, everything, rounds)
    manifest = data.manifest(NAME, temperature, ["scipy", "xgboost", "xgboost-cpu"]) | {
        **bayes.settings(base.scorer),
        "rounds": rounds,
        "entries": list(features.names),
    }
    files = {bayes.TENSORS: bayes.packed(base.scorer), TREES: bytes(booster.save_raw("ubj"))}
    return manifest, files


def _boost(data: Fitting, table: FloatArray, base: FloatArray, seen: BoolArray, rounds: int) -> Trees:
    xgboost = _xgboost()
    rows = xgboost.DMatrix(table[seen], label=data.truth[seen], weight=data.weight[seen], nthread=1)
    rows.set_base_margin(base[seen])
    parameters = {**PARAMETERS, "num_class": base.shape[1], "seed": data.seed}
    booster: Trees = xgboost.train(parameters, rows, num_boost_round=rounds)
    return booster


def _rounds(data: Fitting, table: FloatArray, base: FloatArray) -> tuple[int, FloatArray]:
    """The best number of rounds and the cross-fitted logits after as many."""
    losses = np.zeros(MAX_ROUNDS)
    boosters = []
    for fold in range(data.folds):
        seen = data.fold != fold
        truth, weight = data.truth[~seen], data.weight[~seen]
        boosters.append(_boost(data, table, base, seen, MAX_ROUNDS))
        for k in range(MAX_ROUNDS):
            logits = base[~seen] + _margins(boosters[fold], table[~seen], base.shape[1], k + 1)
            losses[k] += loss(logits, truth, weight) * weight.sum()
    best = int(np.argmin(losses)) + 1
    crossed = base.copy()
    for fold, booster in enumerate(boosters):
        inside = data.fold == fold
        crossed[inside] += _margins(booster, table[inside], base.shape[1], best)
    return best, crossed


def _margins(booster: Trees, table: FloatArray, classes: int, rounds: int) -> FloatArray:
    """What the first `rounds` rounds add to the logits: rows x classes. 0 rounds mean all."""
    rows = _xgboost().DMatrix(table, nthread=1)
    rows.set_base_margin(np.zeros((len(table), classes), np.float32))
    margins = booster.predict(rows, output_margin=True, iteration_range=(0, rounds))
    return np.asarray(margins, np.float64)
