"""What is true of the lesions that check an engine, and how are its answers judged against that?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.cohort import Lesion
from core.errors import BelowTrainingClass, ContractError, UnknownNode
from core.manifest import Bundle
from core.partition import RESIDUAL_MARK, Partition, PartitionReport, TrainingClass
from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray, TreeSums
from dxtree.evaluation.counting import balanced_accuracy
from dxtree.evaluation.labels import UNKNOWN, malignancy
from dxtree.evaluation.ranking import against_rest, auc
from dxtree.evaluation.weighted import Statistic

MALIGNANT, MACRO = "malignant", "macro"
"""Which area is taken: of P(malignant), or the plain mean over classes of each against the rest."""


@dataclass(frozen=True)
class Judged:
    """Lesions with the index of their training class, `UNKNOWN` without one, and whether they are malignant.

    `malignant`: 1, 0, or -1 where the label does not tell; `None` where no node of the tree says so, or not
    both kinds occur: the area is then the macro one.
    """

    sums: TreeSums
    truth: IntArray
    node: str | None = None
    malignant: IntArray | None = None

    @property
    def area(self) -> str:
        """Which area is taken."""
        return MACRO if self.malignant is None else MALIGNANT

    def select(self, rows: IntArray) -> Judged:
        """The same over some of the lesions."""
        malignant = None if self.malignant is None else self.malignant[rows]
        return Judged(self.sums, self.truth[rows], self.node, malignant)

    def statistics(self, values: FloatArray) -> Mapping[str, Statistic]:
        """`balanced_accuracy` and `auc` of probabilities, lesions x training classes."""
        rows = np.flatnonzero(self.truth != UNKNOWN)
        correct = values.argmax(axis=1) == self.truth
        recall = balanced_accuracy(correct[rows], self.truth[rows])
        found: dict[str, Statistic] = {"balanced_accuracy": lambda weights: recall(weights[rows])}
        if self.malignant is not None and self.node is not None:
            found["auc"] = auc(self.sums.of(values, (self.node,))[:, 0], self.malignant)
        else:
            macro = against_rest(values[rows], self.truth[rows])["macro_auc"]
            found["auc"] = lambda weights: macro(weights[rows])
        return found


def judge(lesions: Sequence[Lesion], partition: Partition, malignant: str | None) -> Judged:
    """Truth of the lesions; `malignant` names the node whose probability is asked, where there is one."""
    index = {name: k for k, name in enumerate(partition.ids)}
    owners = [partition.class_of(lesion.label) for lesion in lesions]
    truth = np.array([UNKNOWN if o is None else index[o] for o in owners], np.int64)
    sums = TreeSums(partition)
    if malignant is None:
        return Judged(sums, truth)
    try:
        sums.column(malignant)
    except (UnknownNode, BelowTrainingClass):
        return Judged(sums, truth)
    found = malignancy(lesions, partition.taxonomy, malignant)
    if not {0, 1} <= set(found.tolist()):
        return Judged(sums, truth)
    return Judged(sums, truth, malignant, found)


def partition_of(bundle: Bundle, taxonomy: Taxonomy) -> Partition:
    """The training classes that a bundle answers with, read from their ids.

    What their images were counted at is not in a bundle, and stands as 0. Raises `ContractError` where tree
    or classes are not those that the bundle's fingerprints name.
    """
    names = [str(name) for name in bundle.require("classes", list)]
    if bundle.manifest.get("taxonomy") != taxonomy.fingerprint:
        raise ContractError("the bundle's taxonomy differs from the tree given; they do not belong together")
    known = set(taxonomy.ids)
    classes = tuple(
        TrainingClass(name if name in known else name.removesuffix(RESIDUAL_MARK), name not in known, 0)
        for name in names
    )
    try:
        partition = Partition(taxonomy, classes, PartitionReport("of a bundle", 0, 0, 0, {}, {}), ())
        taxonomy.positions(c.node for c in classes)
    except UnknownNode as error:
        raise ContractError(f"a class of the bundle is no node of its tree: {error.safe_message}") from error
    if partition.fingerprint != bundle.manifest.get("partition"):
        raise ContractError("the bundle's classes are not those of the partition that it names")
    return partition
