"""What does a modality say about each class, once the prior it was trained under is taken out?

The log of P_m(c) / prior_m(c), which is the log likelihood ratio of the image for class c against all
classes (Bayes' rule). A class with prior 0 was never shown to the model; it borrows the ratio of the nearest
node above it that was.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.partition import Partition
from core.protocols import Evidence
from core.tree import FloatArray

FLOOR = 1e-3
"""Added to probability and prior alike. Nets trained with label smoothing (.05 over 48 classes) never say
less than .001, which against the prior of a class with two images would count as strong evidence for it."""


def lineage(partition: Partition) -> tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]:
    """Nodes at or above the training classes, in preorder, and for each class where its chain stands in them.

    A class's chain goes from the nearest node that holds more than the class up to the root: its parent, or
    its own node where the class is a residual.
    """
    taxonomy = partition.taxonomy
    chains = []
    for cell in partition.classes:
        path = taxonomy.path(cell.node)
        above = path if cell.residual or len(path) == 1 else path[:-1]
        chains.append(tuple(reversed(above)))
    nodes = sorted({n for chain in chains for n in chain}, key=taxonomy.position)
    at = {n: i for i, n in enumerate(nodes)}
    return tuple(nodes), tuple(tuple(at[n] for n in chain) for chain in chains)


class Ratios:
    """Log ratios of evidence over one partition, with back-off up its tree. Built once, used for any case."""

    def __init__(self, partition: Partition) -> None:
        nodes, chains = lineage(partition)
        self._member = np.zeros((len(nodes), len(chains)))
        for k, chain in enumerate(chains):
            self._member[list(chain), k] = 1.0
        width = max(len(chain) for chain in chains)
        root = 0  # the root comes first in preorder and ends every chain
        self._chains: npt.NDArray[np.int64] = np.array([[*c, *[root] * (width - len(c))] for c in chains])

    def log(self, evidence: Evidence) -> FloatArray:
        """Log ratio of each class, in the order of the partition; finite.

        Where the prior is 0 it is that of the nearest node above with a prior above 0; at the root, 0.
        """
        probabilities, prior = evidence.probabilities.values, evidence.prior.values
        found = np.log((probabilities + FLOOR) / (prior + FLOOR))
        unseen = np.flatnonzero(prior == 0)
        if unseen.size:
            found[unseen] = self._borrowed(probabilities, prior, unseen)
        return np.asarray(found, np.float64)

    def _borrowed(
        self, probabilities: FloatArray, prior: FloatArray, unseen: npt.NDArray[np.int64]
    ) -> FloatArray:
        above = (self._member @ prior)[self._chains[unseen]]
        first = np.argmax(above > 0, axis=1)
        node = self._chains[unseen, first]
        total = (self._member @ probabilities)[node] + FLOOR
        return np.asarray(np.log(total / (above[np.arange(len(unseen)), first] + FLOOR)))
