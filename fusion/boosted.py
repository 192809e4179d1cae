"""What do trees find beyond Bayes' rule? Gradient boosting (xgboost) that starts from the answer of `bayes`.

Each tree corrects it by what log ratios and metadata say together (Chen and Guestrin, "XGBoost: a scalable
tree boosting system", KDD 2016).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.case import PatientMetadata
from core.errors import ContractError
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion import bayes
from fusion.calibration import loss
from fusion.features import Features
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.training import Fitting, Learned, prepare
from fusion.trees import LIBRARIES, Grower, Trees, margins, read_trees, xgboost
from plugins.specs import FusionCase

NAME = "boosted"
TREES = "trees.ubj"


class BoostedScorer:
    """Bayes' logits plus the trees' margins."""

    def __init__(self, base: bayes.BayesScorer, features: Features, trees: Trees) -> None:
        self.base, self.features, self._trees = base, features, trees
        self._library = xgboost(NAME)

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        ratios = {e.modality: self.base.ratios.log(e) for e in evidence}
        start = self.base.from_ratios(ratios, patient)
        row = self.features.from_ratios(ratios, patient)[None, :]
        return np.asarray(start + self.added(row))

    def added(self, row: FloatArray) -> FloatArray:
        """What the trees add to the logits, from 1 x entries."""
        return np.asarray(margins(self._library, self._trees, row, len(self.base.target))[0])


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Raises what `read_contract` and `bayes.read_scorer` do.

    Also `ContractError` for other entries or trees, and `MissingExtra` where xgboost is not installed.
    """
    contract, bundle = read_contract(NAME, partition, bundle)
    features = Features(partition, contract.modalities, contract.fields, absent=np.nan)
    if tuple(bundle.require("entries", list)) != features.names:
        raise ContractError(f"the {NAME} fuser was fitted on other entries than these; fit it anew")
    base = bayes.read_scorer(partition, contract, bundle)
    trees = read_trees(xgboost(NAME), content(bundle, TREES), len(features.names), NAME)
    return FittedFuser(partition, contract, BoostedScorer(base, features, trees), provenance(bundle))


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. The number of rounds and the temperature are chosen on cross-fitted answers."""
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there."""
    library = xgboost(NAME)
    base = bayes.fit_bayes(data)
    features = Features(data.partition, data.modalities, data.fields, absent=np.nan)
    table = np.stack([features.vector(row.evidence, row.patient) for row in data.rows])
    parameters = {"objective": "multi:softprob", "num_class": len(data.partition.ids)}
    grower = Grower(data, table, base.crossed, data.truth, parameters, library)
    rounds, logits = grower.best(loss)
    about, answers = data.conclude(NAME, logits, LIBRARIES)
    manifest = {**about, **bayes.settings(base.scorer), "rounds": rounds, "entries": list(features.names)}
    trees = bytes(grower.grow(rounds).save_raw("ubj"))
    return Learned(manifest, {bayes.TENSORS: bayes.packed(base.scorer), TREES: trees}, answers)
