"""How good are probabilities, over any number of weighted samples of the same lesions at once?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

import numpy as np

from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.evaluation.calibration import calibration_error
from dxtree.evaluation.counting import balanced_accuracy, macro_f1, official_f1
from dxtree.evaluation.proper import WORST_LOG_LOSS, log_loss, scaled_rows, squared_error
from dxtree.evaluation.ranking import NODE_MEASURES, against_rest, node_statistics
from dxtree.evaluation.weighted import BoolArray, Statistic, undefined, weighted_mean

MALIGNANT = "malignant"
"""Key of the node that every cohort may name; its metrics end in it."""


@dataclass(frozen=True)
class Metric:
    """One column of every table. `biased`: its resampled values lie systematically off (see `intervals`)."""

    name: str
    title: str
    definition: str
    higher_is_better: bool = True
    upper: float = 1.0
    biased: bool = False


_AT = "a score at the threshold is called positive, equal scores are called together, nothing is interpolated"
_NODE_MEASURES = {
    "auc": ("AUC", "area under the ROC curve of P({0}) for {0} against all other lesions, ties counted half"),
    "average_precision": (
        "AP",
        "average precision of P({0}): precision at each threshold weighted by the recall it adds, equal "
        "scores called together",
    ),
    "sensitivity_at_90": ("sens. at .90", f"best sensitivity of P({{0}}) at specificity .90 or more; {_AT}"),
    "sensitivity_at_95": ("sens. at .95", f"best sensitivity of P({{0}}) at specificity .95 or more; {_AT}"),
    "specificity_at_95": ("spec. at .95", f"best specificity of P({{0}}) at sensitivity .95 or more; {_AT}"),
}


def node_metrics(key: str) -> tuple[Metric, ...]:
    """What is said of a node, named `MEASURE_KEY`: area, average precision, and shares at a fixed aim.

    The threshold of a share at a fixed aim is chosen anew in each resample, so that its interval takes the
    choice along; on these very lesions the value is optimistic.
    """
    return tuple(
        Metric(f"{name}_{key}", f"{title} {key}", definition.format(key))
        for name, (title, definition) in _NODE_MEASURES.items()
    )


_OF_MALIGNANT = node_metrics(MALIGNANT)

METRICS = (
    Metric(
        "accuracy",
        "accuracy",
        "share of lesions whose most probable class is the true one; the first class in order among equals",
    ),
    Metric(
        "balanced_accuracy",
        "balanced acc.",
        "mean recall over the classes that occur in the truth; in a resample, over those that occur in it",
    ),
    _OF_MALIGNANT[0],
    Metric(
        "brier",
        "Brier",
        "squared error summed over classes, mean over lesions, 0 to 2 (Brier 1950); rows scaled to sum 1",
        higher_is_better=False,
        upper=2.0,
    ),
    Metric(
        "ece",
        "ECE",
        "expected calibration error of the top class (Guo et al. 2017) over 15 bins of equal mass (Nguyen "
        "and O'Connor 2015); an edge splits a lesion, equal confidences are pooled; rows scaled to sum 1",
        higher_is_better=False,
        biased=True,
    ),
)
"""The metrics of the tables, in the order of every output."""

_BY_CLASS = (
    Metric(
        "macro_f1",
        "macro F1",
        "mean F1 of the most probable class over the classes that occur in the truth; never answered: 0",
    ),
    Metric(
        "official_f1",
        "F1 at .5",
        "mean F1 over all classes, each called by itself where its own probability, not scaled, is above .5: "
        "0 where it occurs and is never called, 1 where it does neither (ISIC challenge scoring 5.6)",
    ),
    Metric(
        "macro_auc",
        "macro AUC",
        "mean over the classes that occur of the area under the ROC curve of the class against the rest",
    ),
    Metric(
        "macro_average_precision",
        "macro AP",
        "mean over the classes that occur of the average precision of the class against the rest",
    ),
    Metric(
        "log_loss",
        "log loss",
        "mean of -ln P(truth); rows scaled to sum 1, a probability below 2.2e-16 counts as that",
        higher_is_better=False,
        upper=WORST_LOG_LOSS,
    ),
    Metric(
        "tree_distance",
        "tree distance",
        "mean number of edges of the tree from the answer up to the lowest common ancestor and down to the "
        "truth; within one level twice the height of that ancestor, as in Bertinetto et al. (2020)",
        higher_is_better=False,
        upper=inf,
    ),
)

ALL_METRICS = (*METRICS, *_BY_CLASS, *_OF_MALIGNANT[1:])
"""The metrics of every file; tables print some of them."""


@dataclass(frozen=True)
class NodeScores:
    """P(node) of each lesion, and whether it lies at or below the node: 1, 0, or -1 where nobody can tell."""

    scores: FloatArray
    truth: IntArray


@dataclass(frozen=True)
class Scored:
    """Scores and truth of lesions over one label set, each row with a truth.

    `scores`: rows x classes, >= 0, rows summing to 1 or less. `nodes`: chosen nodes by a short key, which
    ends the names of their metrics. `distances`: classes x classes, edges of the tree between two, or `None`
    where the classes are no nodes.
    """

    scores: FloatArray
    truth: IntArray
    nodes: Mapping[str, NodeScores] = field(default_factory=dict)
    distances: FloatArray | None = None

    def select(self, rows: IntArray) -> Scored:
        """The same over some of the rows."""
        nodes = {key: NodeScores(n.scores[rows], n.truth[rows]) for key, n in self.nodes.items()}
        return Scored(self.scores[rows], self.truth[rows], nodes, self.distances)

    def statistics(self) -> dict[str, Statistic]:
        """Every metric of `ALL_METRICS` by its name, then those of each further node."""
        scaled = scaled_rows(self.scores)
        confidence, correct = self.top_label()
        found: dict[str, Statistic] = {
            "accuracy": weighted_mean(correct.astype(np.float64)),
            "balanced_accuracy": balanced_accuracy(correct, self.truth),
            f"auc_{MALIGNANT}": undefined,
            "brier": weighted_mean(squared_error(scaled, self.truth)),
            "ece": calibration_error(confidence, correct),
            "macro_f1": macro_f1(self.answer(), self.truth),
            "official_f1": official_f1(self.scores, self.truth),
            **against_rest(self.scores, self.truth),
            "log_loss": weighted_mean(log_loss(scaled, self.truth)),
            "tree_distance": undefined,
            **{f"{name}_{MALIGNANT}": undefined for name in NODE_MEASURES},
        }
        if self.distances is not None:
            found["tree_distance"] = weighted_mean(self.distances[self.answer(), self.truth])
        for key, node in self.nodes.items():
            found |= {f"{name}_{key}": s for name, s in node_statistics(node.scores, node.truth).items()}
        return found

    def answer(self) -> IntArray:
        """The most probable class of each lesion; the first among equals."""
        return self.scores.argmax(axis=1) if self.scores.size else np.zeros(len(self.truth), np.int64)

    def top_label(self) -> tuple[FloatArray, BoolArray]:
        """Probability of the most probable class, and whether it is the true one; the first among equals."""
        if not self.scores.size:
            return np.zeros(len(self.truth)), np.zeros(len(self.truth), bool)
        return scaled_rows(self.scores).max(axis=1), np.asarray(self.answer() == self.truth)


def value_of(statistic: Statistic, rows: int) -> float:
    """The statistic on the sample itself; NaN where it is not defined."""
    return float(statistic(np.ones((rows, 1)))[0])
