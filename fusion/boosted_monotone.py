"""What do trees find where evidence for a class may never count against it? Corrections of the first level.

xgboost holds a constraint for all classes of one model alike, so that no model of all classes can rise with
each class's own log ratios. One of a first-level node against the rest can: its margin may not fall where a
log ratio of a class inside rises, nor rise with one of a class outside. With B the answer of `bayes` and g_n
the margin that the trees of node n add to its log odds,

    P(n)  ~  sigmoid(logit B(n) + g_n),        P(c)  =  P(n) * B(c | n)

Where one log ratio of class c rises and all other inputs stay, neither P(c) nor P(n) falls, and P(c) gains on
every other class. This holds up to the temperature. What follows, `fusion.balance.Mixture` and the share of
`image_only`, is the same for all fusers and may shift weight between first-level nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.case import PatientMetadata
from core.errors import ContractError, TrainingError
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion import bayes
from fusion.balance import ancestors
from fusion.features import Features
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.rows import IntArray
from fusion.training import Fitting, Learned, prepare
from fusion.trees import LIBRARIES, Grower, Trees, margins, read_trees, xgboost
from plugins.specs import FusionCase

NAME = "boosted_monotone"


class FirstLevel:
    """First-level nodes of a partition, and the answer of a margin a node."""

    def __init__(self, partition: Partition) -> None:
        of_class = list(ancestors(partition, 1).values())
        self.nodes = tuple(sorted(set(of_class), key=of_class.index))
        self.member = np.array([[c == node for c in of_class] for node in self.nodes])

    def margins(self, logits: FloatArray) -> FloatArray:
        """Log odds of each node against the rest: rows x nodes, from rows x classes."""
        inside = [_log_sum(logits[:, m]) for m in self.member]
        rest = [_log_sum(logits[:, ~m]) for m in self.member]
        return np.stack(inside, axis=1) - np.stack(rest, axis=1)

    def answer(self, logits: FloatArray, margins: FloatArray) -> FloatArray:
        """Log weights of the classes: those of the nodes are sigmoids of the margins, the rest stays."""
        found = logits.copy()
        for k, inside in enumerate(self.member):
            node = -np.logaddexp(0, -margins[:, k])
            found[:, inside] += (node - _log_sum(logits[:, inside]))[:, None]
        return found

    def constraints(self, features: Features, k: int) -> tuple[int, ...]:
        """1 for log ratios of the node's classes, -1 for those of other classes, 0 for what is no ratio."""
        ratios = [*np.where(self.member[k], 1, -1).tolist(), 0] * len(features.modalities)
        return (*ratios, *[0] * (len(features.names) - features.images))


def _log_sum(logits: FloatArray) -> FloatArray:
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)))


class MonotoneScorer:
    """Bayes' logits, the first level corrected by trees."""

    def __init__(self, base: bayes.BayesScorer, features: Features, trees: Sequence[Trees]) -> None:
        self.base, self.features, self._trees = base, features, trees
        self._level, self._library = FirstLevel(features.partition), xgboost(NAME)

    def logits(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        return self.from_ratios({e.modality: self.base.ratios.log(e) for e in evidence}, patient)

    def from_ratios(self, ratios: Mapping[str, FloatArray], patient: PatientMetadata) -> FloatArray:
        """The same from log ratios that are already there, by modality."""
        start = self.base.from_ratios(ratios, patient)[None, :]
        row = self.features.from_ratios(ratios, patient)[None, :]
        added = [margins(self._library, trees, row, 1) for trees in self._trees]
        nodes = self._level.margins(start) + np.concatenate(added, axis=1)
        return np.asarray(self._level.answer(start, nodes)[0])


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Raises what `read_contract` and `bayes.read_scorer` do.

    Also `ContractError` for other entries or trees, and `MissingExtra` where xgboost is not installed.
    """
    contract, bundle = read_contract(NAME, partition, bundle)
    features = _features(partition, contract.modalities, contract.fields)
    if tuple(bundle.require("entries", list)) != features.names:
        raise ContractError(f"the {NAME} fuser was fitted on other entries than these; fit it anew")
    base, library = bayes.read_scorer(partition, contract, bundle), xgboost(NAME)
    files = [_file(k) for k in range(len(FirstLevel(partition).nodes))]
    trees = [read_trees(library, content(bundle, f), len(features.names), NAME) for f in files]
    return FittedFuser(partition, contract, MonotoneScorer(base, features, trees), provenance(bundle))


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. The number of rounds of each node is chosen on cross-fitted answers.

    Raises `TrainingError` too where the classes have one first-level node alone.
    """
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there."""
    library, level = xgboost(NAME), FirstLevel(data.partition)
    if len(level.nodes) < 2:
        raise TrainingError(f"the {NAME} fuser corrects the first level, where these classes have one node")
    base = bayes.fit_bayes(data)
    features = _features(data.partition, data.modalities, data.fields)
    table = np.stack([features.vector(row.evidence, row.patient) for row in data.rows])
    start = level.margins(base.crossed)
    rounds, crossed = {}, np.empty_like(start)
    files = {bayes.TENSORS: bayes.packed(base.scorer)}
    for k, node in enumerate(level.nodes):
        parameters = {
            "objective": "binary:logistic",
            "monotone_constraints": level.constraints(features, k),
        }
        label = level.member[k][data.truth].astype(np.int64)
        grower = Grower(data, table, start[:, [k]], label, parameters, library)
        rounds[node], found = grower.best(_binary_loss)
        crossed[:, k] = found[:, 0]
        files[_file(k)] = bytes(grower.grow(rounds[node]).save_raw("ubj"))
    about, answers = data.conclude(NAME, level.answer(base.crossed, crossed), LIBRARIES)
    manifest = {**about, **bayes.settings(base.scorer), "rounds": rounds, "entries": list(features.names)}
    return Learned(manifest, files, answers)


def _features(partition: Partition, modalities: Sequence[str], fields: Sequence[str]) -> Features:
    # Centred, one ratio would fall where another rises.
    return Features(partition, modalities, fields, absent=np.nan, centred=False)


def _file(k: int) -> str:
    return f"node_{k}.ubj"


def _binary_loss(margin: FloatArray, label: IntArray, weight: FloatArray) -> float:
    signed = np.where(label == 1, margin[:, 0], -margin[:, 0])
    return float(weight @ np.logaddexp(0, -signed) / weight.sum())
