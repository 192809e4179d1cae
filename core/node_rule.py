"""How deep may one node answer, so that it holds the truth as often as asked?

The answers are the nodes on the way from the most probable training class to the root, which are nested. One
threshold on P(node), fitted by split conformal prediction, says how far to climb (Gupta et al. 2022 on nested
sets, Goren et al. 2024 on climbing a tree). `fusion.prediction_sets` fits one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from core.errors import ContractError
from core.partition import Partition
from core.probabilities import TreeProbabilities
from core.taxonomy import IntArray
from core.tree import FloatArray, TreeSums

FORMAT = 1
"""Of what `NodeRule.to_dict` gives."""


@dataclass(frozen=True)
class NodeRule:
    """A case is answered with the deepest node above its most probable class of more than `threshold`.

    The root is the answer where no other is. Raises `ContractError` for a coverage outside (0, 1), a
    threshold outside [0, 1] or no lesion.
    """

    partition: Partition
    coverage: float
    threshold: float
    lesions: int
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.coverage < 1 or not 0 <= self.threshold <= 1 or self.lesions < 1:
            raise ContractError(
                f"coverage {self.coverage!r} lies between 0 and 1, threshold {self.threshold!r} in [0, 1], "
                f"and there is at least one lesion, not {self.lesions!r}"
            )

    def apply(self, tree: TreeProbabilities) -> str:
        """Id of the node that answers. Raises `ContractError` for probabilities over another partition."""
        if tree.sums.partition.fingerprint != self.partition.fingerprint:
            raise ContractError("the rule was fitted for other training classes than these probabilities")
        return self.partition.taxonomy.ids[int(self.apply_rows(tree.leaf.values[None, :])[0])]

    def apply_rows(self, values: FloatArray) -> IntArray:
        """Place in the taxonomy of the answer of each row: cases x training classes to cases."""
        way = Way(self.partition)
        here, table = way.start(values)
        parent = self.partition.taxonomy.parent
        while True:
            short = (way.read(table, here) <= self.threshold) & (here > 0)
            if not short.any():
                return here
            here = np.where(short, parent[here], here)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `from_dict` reads it back beside the partition."""
        return {
            "format": FORMAT,
            "partition": self.partition.fingerprint,
            "coverage": self.coverage,
            "threshold": self.threshold,
            "lesions": self.lesions,
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], partition: Partition) -> NodeRule:
        """What `to_dict` gave. Raises `ContractError` for another format or partition."""
        try:
            if raw["format"] != FORMAT:
                raise ContractError(f"format {raw['format']!r} of a node rule; this version reads {FORMAT}")
            if raw["partition"] != partition.fingerprint:
                raise ContractError(
                    "the node rule was fitted for another partition; fit it again for this one"
                )
            numbers = float(raw["coverage"]), float(raw["threshold"]), int(raw["lesions"])
            return cls(partition, *numbers, dict(raw["provenance"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"a node rule cannot be read ({type(error).__name__}: {error})") from error


@dataclass(frozen=True)
class Way:
    """The nodes on the way from the most probable training class of a case to the root."""

    partition: Partition

    @cached_property
    def _sums(self) -> TreeSums:
        return TreeSums(self.partition)

    @cached_property
    def _columns(self) -> IntArray:
        """Column of `_sums.nodes` of each place of the taxonomy; -1 where it has no probability."""
        found = np.full(len(self.partition.taxonomy), -1, np.int64)
        found[self.partition.taxonomy.positions(self._sums.nodes)] = np.arange(len(self._sums.nodes))
        return found

    def start(self, values: FloatArray) -> tuple[IntArray, FloatArray]:
        """Where each case starts, a residual at its node, and the probability of every readable node."""
        places = self.partition.taxonomy.positions(c.node for c in self.partition.classes)
        table = self._sums.of(values, self._sums.nodes)
        return places[values.argmax(axis=1)], table

    def read(self, table: FloatArray, here: IntArray) -> FloatArray:
        """P of the node where each case stands."""
        return np.asarray(table[np.arange(len(here)), self._columns[here]])

    def errors(self, values: FloatArray, labels: Sequence[str]) -> FloatArray:
        """Highest probability of a wrong node on the way of each case, 0 where none is wrong.

        A node is wrong where the label does not lie at or below it. Raises `UnknownNode` for a foreign label.
        """
        taxonomy = self.partition.taxonomy
        label = taxonomy.positions(labels)
        here, table = self.start(values)
        found = np.zeros(len(here))
        while True:
            wrong = (label < here) | (label >= taxonomy.end[here])
            if not wrong.any():
                return found
            found = np.where(wrong, self.read(table, here), found)
            here = np.where(wrong, taxonomy.parent[here], here)
