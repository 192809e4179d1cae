"""Into which disjoint parts does a level cut the training classes, so that each of them has exactly one?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from core.errors import ContractError, TaxonomyError
from core.partition import Partition
from core.taxonomy import IntArray
from core.tree import FloatArray

LEAVES: Final = "leaves"
"""The level of the training classes themselves."""

Level = int | Literal["leaves"]
"""Depth in the tree, 1 for the first level, or the training classes."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """The nodes of a level, and each training class that lies above it, as one list in depth-first order.

    A cell holds a run of training classes, so that probabilities of cells always sum to 1. `level` counts
    from 1. Raises `TaxonomyError` for a level that does not exist.
    """

    partition: Partition
    level: Level

    def __post_init__(self) -> None:
        deepest = self.partition.taxonomy.max_depth
        whole = isinstance(self.level, int) and not isinstance(self.level, bool)
        if self.level != LEAVES and not (whole and 1 <= int(self.level) <= deepest):
            raise TaxonomyError(
                f"level {self.level!r} does not exist; levels are 1 to {deepest}, or {LEAVES!r}"
            )

    @cached_property
    def _named(self) -> list[tuple[str, str]]:
        """Id and node of the cell of each training class."""
        if isinstance(self.level, str):
            return [(c.id, c.node) for c in self.partition.classes]
        taxonomy = self.partition.taxonomy
        above = [taxonomy.ancestor_at(c.node, self.level) for c in self.partition.classes]
        return [
            (c.id, c.node) if node is None else (node, node)
            for c, node in zip(self.partition.classes, above, strict=True)
        ]

    @cached_property
    def of_class(self) -> IntArray:
        """Number of the cell of each training class; it never falls."""
        ids = [name for name, _ in self._named]
        new = [k > 0 and name != ids[k - 1] for k, name in enumerate(ids)]
        return np.cumsum(new, dtype=np.int64)

    @cached_property
    def starts(self) -> IntArray:
        """The first training class of each cell."""
        return np.asarray(np.searchsorted(self.of_class, np.arange(int(self.of_class[-1]) + 1)))

    @cached_property
    def sizes(self) -> IntArray:
        """How many training classes each cell holds."""
        return np.bincount(self.of_class)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the cells: nodes, and ids of training classes above the level."""
        return tuple(self._named[k][0] for k in self.starts.tolist())

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """The node of each cell; a residual class has that of its own node."""
        return tuple(self._named[k][1] for k in self.starts.tolist())

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.ids)}

    @cached_property
    def _places(self) -> IntArray:
        return self.partition.taxonomy.positions(self.nodes)

    def index_of(self, label: str) -> int | None:
        """Number of the cell that holds a label; `None` where no cell does. Raises `UnknownNode`."""
        if not isinstance(self.level, str):
            node = self.partition.taxonomy.ancestor_at(label, self.level)
            if node in self._index:
                return self._index[node]
        held = self.partition.class_of(label)
        if held is None:
            return None
        return int(self.of_class[self.partition.ids.index(held)])

    def truth(self, labels: Sequence[str]) -> IntArray:
        """The same for many labels, -1 where no cell holds one."""
        known = {label: self.index_of(label) for label in set(labels)}
        found = (known[label] for label in labels)
        return np.array([-1 if k is None else k for k in found], np.int64)

    def values(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Cases x training classes to cases x cells. Raises `ContractError` for another number of classes."""
        if values.ndim != 2 or values.shape[1] != len(self.partition.classes):
            raise ContractError(
                f"values are cases x {len(self.partition.classes)} training classes, not {values.shape}"
            )
        return np.asarray(np.add.reduceat(values, self.starts, axis=1, dtype=np.float64))

    def cover(self, members: BoolArray) -> IntArray:
        """Place in the taxonomy of the deepest node that covers every member: cases x cells to cases.

        Raises `ContractError` for another number of cells or a row without any member.
        """
        if members.ndim != 2 or members.shape[1] != len(self.ids) or not members.any(axis=1).all():
            raise ContractError(
                f"members are cases x {len(self.ids)} cells with at least one a row, not {members.shape}"
            )
        taxonomy = self.partition.taxonomy
        here = self._places[members.argmax(axis=1)]
        last = self._places[members.shape[1] - 1 - members[:, ::-1].argmax(axis=1)]
        short = taxonomy.end[here] <= last
        while short.any():
            here = np.where(short, taxonomy.parent[here], here)
            short = taxonomy.end[here] <= last
        return np.asarray(here)
