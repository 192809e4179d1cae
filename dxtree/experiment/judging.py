"""Against which classes are arms judged that were trained on different ones?

The classes of a level are its nodes and the leaves above it, whatever the arm; an arm's probability of one is
the sum over its training classes at or below it. A class that an arm cannot read scores nothing, so that its
images count as wrong; an arm that cannot read the classes of more than a tenth of the images is not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.cohort import LabelledImage
from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray
from dxtree.cohorts.isic import official_class
from dxtree.experiment.unseen import Unseen
from plugins.specs import CohortSpec

READABLE = 0.9
"""Share of the images whose class an arm must be able to read."""


@dataclass(frozen=True)
class Yardstick:
    """Classes that images are judged against, the rows judged, and the truth of each as an index.

    `nodes`: for each class the nodes of the tree that belong to it.
    """

    name: str
    classes: tuple[str, ...]
    nodes: tuple[tuple[str, ...], ...]
    rows: IntArray
    truth: IntArray

    def membership(self, one: Unseen) -> FloatArray:
        """Training classes x classes, 1 where a training class counts for a class."""
        taxonomy = one.partition.taxonomy
        owner = {node: k for k, nodes in enumerate(self.nodes) for node in nodes}
        found = np.zeros((len(one.partition.classes), len(self.classes)))
        for row, cell in enumerate(one.partition.classes):
            owned = next((owner[n] for n in reversed(taxonomy.path(cell.node)) if n in owner), None)
            if owned is not None:
                found[row, owned] = 1
        return found

    def judged(self, one: Unseen) -> bool:
        """Whether the arm can read enough of the classes."""
        readable = self.membership(one).sum(axis=0) > 0
        return bool(len(self.rows)) and float(readable[self.truth].mean()) >= READABLE

    def scores(self, one: Unseen) -> tuple[FloatArray, FloatArray]:
        """Probability of each class, rows x classes, and the same at an even prior, not scaled.

        The second divides each class's probability by the prior that the net carries for it: its largest is
        the decision that serves balanced accuracy.
        """
        members = self.membership(one)
        values = one.probabilities[self.rows] @ members
        prior = one.prior[self.rows] @ members
        return values, np.where(prior > 0, values / np.where(prior > 0, prior, 1), 0)


def level_yardstick(images: Sequence[LabelledImage], taxonomy: Taxonomy, level: int) -> Yardstick:
    """The classes of a level that occur among the images; labels above the level are not judged."""
    owners = [_owner(taxonomy, image.label, level) for image in images]
    classes = tuple(sorted({o for o in owners if o is not None}, key=taxonomy.position))
    return _yardstick(f"level {level}", classes, tuple((c,) for c in classes), owners)


def cohort_yardstick(images: Sequence[LabelledImage], cohort: CohortSpec, taxonomy: Taxonomy) -> Yardstick:
    """A cohort's official classes, on its own images."""
    owners = [
        image.official or official_class(image.label, taxonomy, cohort.official_nodes)
        if image.cohort == cohort.name
        else None
        for image in images
    ]
    present = {o for o in owners if o is not None}
    classes = tuple(c for c in cohort.official_nodes if c in present)
    return _yardstick(cohort.name, classes, tuple(cohort.official_nodes[c] for c in classes), owners)


def _owner(taxonomy: Taxonomy, label: str, level: int) -> str | None:
    node = taxonomy.ancestor_at(label, level)
    return label if node is None and taxonomy.is_leaf(label) else node


def _yardstick(
    name: str, classes: tuple[str, ...], nodes: tuple[tuple[str, ...], ...], owners: Sequence[str | None]
) -> Yardstick:
    index = {c: k for k, c in enumerate(classes)}
    rows = [k for k, owner in enumerate(owners) if owner in index]
    truth = [index[str(owners[k])] for k in rows]
    return Yardstick(name, classes, nodes, np.array(rows, np.int64), np.array(truth, np.int64))
