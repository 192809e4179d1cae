"""How much do metadata add to perfect nets, when everything is used as well as can be?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from core.case import FIELDS
from core.errors import CohortError, did_you_mean
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.cohorts.synthetic.answers import SHARPNESS, independent_answers
from dxtree.cohorts.synthetic.classes import CLASSES
from dxtree.cohorts.synthetic.lesion import VIEWS
from dxtree.evaluation.weighted import BoolArray

POPULATION = 200_000
"""Lesions from which a population value is estimated: the AUC's gain is then known to about .0006."""

Metric = Literal["auc_malignant", "brier_first_level", "brier_second_level", "brier_leaf"]
"""AUC of the node `Malignant`, and the squared error summed over the nodes of a level (Brier 1950)."""

_LEVELS: Mapping[str, int] = MappingProxyType(
    {"brier_first_level": 1, "brier_second_level": 2, "brier_leaf": 3}
)


@dataclass(frozen=True)
class Gain:
    """A difference of two ways of answering, first minus second, and its standard error."""

    value: float
    error: float


def gain_built_in(
    metric: Metric, *, sharpness: float = SHARPNESS, lesions: int = POPULATION, seed: int = 0
) -> Gain:
    """What metadata add to both views in the population, when everything is used as well as can be.

    Estimated on independent lesions, with its Monte Carlo error. Raises `CohortError` as `answers_of` does.
    """
    drawn = independent_answers(lesions, seed, sharpness=sharpness)
    return gain(metric, drawn.truth, drawn.oracle((*VIEWS, *FIELDS)), drawn.oracle(VIEWS))


def gain(metric: Metric, truth: IntArray, first: FloatArray, second: FloatArray) -> Gain:
    """The metric of `first` minus that of `second`, both lesions x classes, on the same lesions.

    Above 0 is good for the AUC, below 0 for the Brier scores. The error is that of a paired difference; for
    AUCs that of DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988). Raises `CohortError` for an
    unknown metric; NaN for an AUC with fewer than two malignant or two other lesions.
    """
    if metric not in get_args(Metric):
        known = get_args(Metric)
        raise CohortError(
            f"metric {metric!r} is unknown; there are {', '.join(known)}{did_you_mean(metric, known)}"
        )
    if metric == "auc_malignant":
        malignant = np.array([c.path[0] == "Malignant" for c in CLASSES])
        return _auc_gain(malignant[truth], first[:, malignant].sum(axis=1), second[:, malignant].sum(axis=1))
    member = level_members(_LEVELS[metric])
    wanted = member[truth]
    paired = ((first @ member - wanted) ** 2 - (second @ member - wanted) ** 2).sum(axis=1)
    return Gain(float(paired.mean()), float(paired.std(ddof=1) / np.sqrt(len(paired))))


def level_members(level: int) -> FloatArray:
    """Classes x nodes: 1 where a class lies at or below a node of the level, which has 3, 7 or 16 nodes.

    The class of an inner node counts for itself where nodes are told apart below it.
    """
    nodes = [c.path[:level] for c in CLASSES]
    names = list(dict.fromkeys(nodes))
    return np.array([[float(node == name) for name in names] for node in nodes])


def _auc_gain(positive: BoolArray, first: FloatArray, second: FloatArray) -> Gain:
    if min(positive.sum(), (~positive).sum()) < 2:
        return Gain(math.nan, math.nan)
    (won, lost), (other_won, other_lost) = (_placements(positive, scores) for scores in (first, second))
    by_positive, by_negative = won - other_won, lost - other_lost
    variance = by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative)
    return Gain(float(by_positive.mean()), float(np.sqrt(variance)))


def _placements(positive: BoolArray, scores: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of negatives below each positive, and of positives above each negative; ties count half."""
    from scipy.stats import rankdata

    rank = rankdata(scores)
    above, below = rank[positive], rank[~positive]
    won = (above - rankdata(scores[positive])) / len(below)
    lost = 1 - (below - rankdata(scores[~positive])) / len(above)
    return won, lost
