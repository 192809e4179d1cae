"""What do the images say together, as independent as they prove to be? A log-opinion pool; no metadata.

    P(c | images)  ~  target(c) * product over m of [P_m(c) / prior_m(c)] ** w_m

One image alone is passed through, so that the weights are those among others (see `fusion.opinion`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from core.case import PatientMetadata
from core.manifest import Bundle
from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray
from fusion.fitted import FittedFuser, content, provenance, read_contract
from fusion.opinion import Weights, fit_weights, pooled, read_weights, terms
from fusion.ratio import Ratios
from fusion.tensors import pack, unpack
from fusion.training import BoolArray, Fitting, Learned, prepare
from plugins.specs import FusionCase

NAME = "pool"
TENSORS = "pool.safetensors"


class PoolScorer:
    """Log target prior plus weighted log ratios. A modality that was not in the fit has weight 1."""

    def __init__(self, partition: Partition, target: FloatArray, weights: Weights) -> None:
        self.target, self.weights = target, weights
        self._ratios = Ratios(partition)

    def logits(
        self,
        evidence: Sequence[Evidence],
        patient: PatientMetadata,  # noqa: ARG002 - the protocol has it
    ) -> FloatArray:
        """Log weights of the classes up to a constant, as `fusion.fitted.Scorer` asks."""
        ratios = {e.modality: self._ratios.log(e) for e in evidence}
        return np.asarray(self.target + pooled(self.weights, ratios))


def load(partition: Partition, bundle: Bundle | None) -> FittedFuser:
    """The fitted fuser. Errors are those of `read_contract` and `fusion.opinion.read_weights`."""
    contract, bundle = read_contract(NAME, partition, bundle)
    weights = read_weights(bundle, contract.modalities)
    target = unpack(content(bundle, TENSORS), {"target": (len(partition.ids),)})["target"]
    scorer = PoolScorer(partition, target, weights)
    return FittedFuser(partition, contract, scorer, provenance(bundle), open_ended=True)


def fit(
    cases: Sequence[FusionCase], partition: Partition, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Manifest and files. Where no case has two modalities every weight is 1, as Bayes' rule has it."""
    return learn(prepare(cases, partition, seed)).bundle


def learn(data: Fitting) -> Learned:
    """The same on rows that are already there; those with one modality teach nothing."""
    evidence = [row.evidence for row in data.rows]
    several = np.array([len(e) > 1 for e in evidence])
    count = len(data.modalities)
    among = terms(Ratios(data.partition), data.modalities, evidence, len(data.partition.ids))[:, count:]
    target = np.stack([data.target(fold) for fold in range(data.folds)])[data.fold]

    def weights(chosen: BoolArray) -> FloatArray:
        seen = chosen & several
        return fit_weights(target[seen], among[seen], data.truth[seen], data.weight[seen])

    def without(fold: int) -> Callable[[BoolArray], FloatArray]:
        found = weights(data.fold != fold)
        return lambda inside: target[inside] + np.einsum("rtk,t->rk", among[inside], found)

    by_name = dict(zip(data.modalities, weights(several).tolist(), strict=True))
    about, answers = data.conclude(NAME, data.crossed(without), ["scipy"], fields=())
    return Learned(about | {"weights": by_name}, {TENSORS: pack({"target": data.target()})}, answers)
