"""How much does a model speak for the positive set, by its own probabilities or within the two sets?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.errors import BelowTrainingClass, ContractError, NonFiniteOutput, UnknownNode
from core.partition import Partition
from core.tree import FloatArray, TreeSums
from dxtree.binary.task import BinaryTask

MARGINAL, CONDITIONAL, MALIGNANT = "marginal", "conditional", "malignant"

SCORE_TITLES = {
    MARGINAL: "P(positive)",
    CONDITIONAL: "P(positive | both sets)",
    MALIGNANT: "P(malignant)",
}
"""How the scores are called in tables and figures."""

UNDECIDED = 0.5
"""Conditional score of a lesion to which the model gives neither set any probability: it favours none."""


@dataclass(frozen=True)
class TaskScores:
    """Scores of lesions, each from 0 to 1 and higher for the positive set.

    `marginal` is P(positive), `conditional` P(positive | positive or negative), `malignant` the probability
    of a node named by the caller, or `None`. `undecided` counts the lesions whose two sets have no
    probability at all, so that nothing is conditional on them; their `conditional` is .5. `untrained` names
    nodes of the task that hold no training class: no probability was ever learnt for them, and they add none.
    """

    marginal: FloatArray
    conditional: FloatArray
    malignant: FloatArray | None
    undecided: int
    untrained: tuple[str, ...]

    def by_name(self) -> dict[str, FloatArray]:
        """The scores that exist, by name."""
        found = {MARGINAL: self.marginal, CONDITIONAL: self.conditional}
        return found if self.malignant is None else {**found, MALIGNANT: self.malignant}


def score_task(
    task: BinaryTask, values: FloatArray, partition: Partition, *, malignant: str | None = None
) -> TaskScores:
    """Scores from probabilities of the training classes, `values`: lesions x classes, rows summing to 1.

    `malignant` names a node whose probability is a third score: the paper sweeps a threshold over
    P(malignant).

    Raises what `BinaryTask.check` raises; `BelowTrainingClass`, naming the class, where a node lies inside a
    training class or no node of a set was trained; `ContractError` for another number of columns;
    `NonFiniteOutput` for a value that is not finite or below 0.
    """
    task.check(partition.taxonomy)
    if values.ndim != 2 or values.shape[1] != len(partition.classes):
        raise ContractError(
            f"values are lesions x {len(partition.classes)} training classes, not {values.shape}"
        )
    if not np.isfinite(values).all() or (values < 0).any():
        raise NonFiniteOutput("a probability is not finite or below 0; leave out lesions without an answer")
    sums = TreeSums(partition)
    positive, untrained = _mass(task, task.positive, values, sums)
    negative, others = _mass(task, task.negative, values, sums)
    both = positive + negative
    undecided = both <= 0
    conditional = np.where(undecided, UNDECIDED, positive / np.where(undecided, 1, both))
    third = None if malignant is None else node_score(malignant, values, partition)
    return TaskScores(positive, conditional, third, int(undecided.sum()), untrained + others)


def node_score(node: str, values: FloatArray, partition: Partition) -> FloatArray:
    """P(node) a lesion. Raises `UnknownNode`, or `BelowTrainingClass` where nothing can be read there."""
    try:
        return TreeSums(partition).of(values, (node,))[:, 0]
    except UnknownNode:
        raise
    except BelowTrainingClass as error:
        raise BelowTrainingClass(f"{error.safe_message}; {_FINER}") from None


_FINER = "use models of a finer partition (a smaller --max-size), or name a node above it"


def _mass(
    task: BinaryTask, nodes: tuple[str, ...], values: FloatArray, sums: TreeSums
) -> tuple[FloatArray, tuple[str, ...]]:
    """Probability of a set, and its nodes without a training class at, below or above them."""
    readable, untrained = [], []
    for node in nodes:
        try:
            sums.column(node)
        except BelowTrainingClass as error:
            if sums.partition.class_of(node) is not None:
                raise BelowTrainingClass(f"task {task.name}: {error.safe_message}; {_FINER}") from None
            untrained.append(node)
        else:
            readable.append(node)
    if not readable:
        raise BelowTrainingClass(
            f"task {task.name}: no training class lies at or below {', '.join(map(repr, nodes))}; {_FINER}"
        )
    return sums.of(values, tuple(readable)).sum(axis=1), tuple(untrained)
