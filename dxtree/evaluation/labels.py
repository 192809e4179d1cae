"""Which classes is a lesion judged against, what is its truth there, and which lesions have none?

A label set turns probabilities of training classes into scores of its own classes by sums: the first and
second level of the tree, the training classes themselves ("leaves"), and a cohort's official classes.
Whatever cannot be judged is listed with its count, never dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.cohort import Lesion
from core.errors import BelowTrainingClass, CohortError, TaxonomyError, UnknownNode
from core.partition import Partition
from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray, TreeSums
from dxtree.cohorts.isic import official_class
from plugins.specs import CohortSpec

LEVELS = {"level1": 1, "level2": 2}
OFFICIAL, LEAVES = "official", "leaves"
NAMES = (*LEVELS, LEAVES, OFFICIAL)
"""Names of the label sets, in the order of every output."""

UNKNOWN = -1
"""Truth of a lesion that a label set cannot judge."""


@dataclass(frozen=True)
class Excluded:
    """Lesions of one label that a label set leaves out, and why."""

    label_set: str
    label: str
    lesions: int
    reason: str


@dataclass(frozen=True)
class Unreadable:
    """A node of an official class without a probability of its own, and how many lesions lie there."""

    official: str
    node: str
    lesions: int
    reason: str


@dataclass(frozen=True)
class LabelSet:
    """Classes, the truth of each lesion as an index into them (`UNKNOWN` where it is left out), and sums.

    `membership`: training classes x classes, 1 where a training class counts for a class. A training class
    may belong to none; its probability is then unmapped.
    """

    name: str
    classes: tuple[str, ...]
    truth: IntArray
    membership: FloatArray
    excluded: tuple[Excluded, ...]

    def scores(self, values: FloatArray) -> FloatArray:
        """Lesions x training classes to lesions x classes. Rows sum to 1 less what is unmapped."""
        return np.asarray(values @ self.membership)

    def unmapped(self, values: FloatArray) -> FloatArray:
        """Probability a lesion that belongs to no class of this set."""
        return np.asarray(values @ (self.membership.sum(axis=1) == 0))


@dataclass(frozen=True)
class LabelSets:
    """Every label set that exists for one partition and cohort, with what could not be mapped.

    `unavailable` gives the reason for a set that does not exist. `disagreeing` counts lesions whose
    official class differs from the one their label's node belongs to: (label, official, by node).
    `unscored`: official classes that no training class belongs to, which no pipeline can answer with.
    """

    sets: tuple[LabelSet, ...]
    unavailable: Mapping[str, str]
    unmapped_labels: tuple[Excluded, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    disagreeing: Mapping[tuple[str, str, str], int] | None = None
    unscored: tuple[str, ...] = ()

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """What each set leaves out, in the order of the sets."""
        return tuple(e for s in self.sets for e in s.excluded)


def label_sets(lesions: Sequence[Lesion], partition: Partition, cohort: CohortSpec) -> LabelSets:
    """Builds the label sets of a cohort.

    Raises `UnknownNode` for a label or an official node outside the taxonomy, `CohortError` where two
    official classes name one node.
    """
    sums = TreeSums(partition)
    found: list[LabelSet] = []
    unavailable: dict[str, str] = {}
    for name, depth in LEVELS.items():
        try:
            found.append(_level(name, depth, lesions, sums))
        except TaxonomyError as error:
            if isinstance(error, UnknownNode):
                raise
            unavailable[name] = error.safe_message
    found.append(_leaves(lesions, partition))
    if not cohort.official_nodes:
        unavailable[OFFICIAL] = f"cohort {cohort.name!r} has no official classes"
        return LabelSets(tuple(found), unavailable)
    _check_official(cohort, partition.taxonomy)
    official = _official(lesions, partition, cohort)
    found.append(official)
    return LabelSets(
        tuple(found),
        unavailable,
        unmapped_labels=official.excluded,
        unreadable=_unreadable(lesions, sums, cohort),
        disagreeing=_disagreeing(lesions, partition.taxonomy, cohort),
        unscored=tuple(np.array(official.classes)[official.membership.sum(axis=0) == 0].tolist()),
    )


def malignancy(lesions: Sequence[Lesion], taxonomy: Taxonomy, node: str) -> IntArray:
    """1 for a label at or below the node, 0 for another, -1 for a label above it, which does not tell."""
    kinds = {
        label: 1 if taxonomy.covers(node, label) else -1 if taxonomy.covers(label, node) else 0
        for label in {lesion.label for lesion in lesions}
    }
    return np.array([kinds[lesion.label] for lesion in lesions], np.int64)


def _level(name: str, depth: int, lesions: Sequence[Lesion], sums: TreeSums) -> LabelSet:
    taxonomy, partition = sums.partition.taxonomy, sums.partition
    classes = sums.level(depth)
    owners = [taxonomy.ancestor_at(c.node, depth) for c in partition.classes]

    def truth(lesion: Lesion) -> tuple[str | None, str]:
        node = taxonomy.ancestor_at(lesion.label, depth)
        if node is None:
            return None, f"the label lies above level {depth}"
        try:
            sums.column(node)
        except BelowTrainingClass as error:
            return None, error.safe_message
        return node, ""

    return _labelled(name, classes, owners, lesions, truth)


def _leaves(lesions: Sequence[Lesion], partition: Partition) -> LabelSet:
    def truth(lesion: Lesion) -> tuple[str | None, str]:
        return partition.class_of(lesion.label), "no training class holds this label: lost or never trained"

    return _labelled(LEAVES, partition.ids, partition.ids, lesions, truth)


def _official(lesions: Sequence[Lesion], partition: Partition, cohort: CohortSpec) -> LabelSet:
    nodes = cohort.official_nodes
    owners = [official_class(c.node, partition.taxonomy, nodes) for c in partition.classes]

    def truth(lesion: Lesion) -> tuple[str | None, str]:
        if lesion.official is None:
            return None, "the label belongs to no official class"
        return lesion.official, f"the official class {lesion.official!r} is none of the cohort's"

    return _labelled(OFFICIAL, tuple(nodes), owners, lesions, truth)


def _labelled(
    name: str,
    classes: tuple[str, ...],
    owners: Sequence[str | None],
    lesions: Sequence[Lesion],
    truth_of: Callable[[Lesion], tuple[str | None, str]],
) -> LabelSet:
    """A set from the class that owns each training class and a rule for the truth of a lesion."""
    index = {c: k for k, c in enumerate(classes)}
    membership = np.zeros((len(owners), len(classes)))
    for row, owner in enumerate(owners):
        if owner in index:
            membership[row, index[owner]] = 1
    truth = np.full(len(lesions), UNKNOWN, np.int64)
    left_out: Counter[tuple[str, str]] = Counter()
    for row, lesion in enumerate(lesions):
        found, reason = truth_of(lesion)
        if found in index:
            truth[row] = index[found]
        else:
            left_out[lesion.label, reason] += 1
    excluded = tuple(Excluded(name, label, n, why) for (label, why), n in sorted(left_out.items()))
    return LabelSet(name, classes, truth, membership, excluded)


def _check_official(cohort: CohortSpec, taxonomy: Taxonomy) -> None:
    owner: dict[str, str] = {}
    for name, nodes in cohort.official_nodes.items():
        for node in nodes:
            taxonomy.position(node)
            if owner.setdefault(node, name) != name:
                raise CohortError(
                    f"{cohort.name}: node {node!r} is claimed by {owner[node]!r} and {name!r}; "
                    "one class owns a node"
                )


def _unreadable(lesions: Sequence[Lesion], sums: TreeSums, cohort: CohortSpec) -> tuple[Unreadable, ...]:
    """Official nodes strictly inside a training class, which counts for another class, or never trained."""
    labels = Counter(lesion.label for lesion in lesions)
    found = []
    for name, nodes in cohort.official_nodes.items():
        for node in nodes:
            try:
                sums.column(node)
            except BelowTrainingClass as error:
                here = sum(n for at, n in labels.items() if sums.partition.taxonomy.covers(node, at))
                found.append(Unreadable(name, node, here, error.safe_message))
    return tuple(found)


def _disagreeing(
    lesions: Sequence[Lesion], taxonomy: Taxonomy, cohort: CohortSpec
) -> dict[tuple[str, str, str], int]:
    by_node = {
        label: official_class(label, taxonomy, cohort.official_nodes) or "none"
        for label in {lesion.label for lesion in lesions}
    }
    pairs = Counter(
        (i.label, i.official, by_node[i.label]) for i in lesions if i.official not in (None, by_node[i.label])
    )
    return {(label, str(official), node): n for (label, official, node), n in sorted(pairs.items(), key=str)}
