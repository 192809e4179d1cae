"""How do probabilities of training classes add up to every node above them? The one place sums are made.

P(u) is the sum over the training classes at or below u (Esteva et al. 2017); a residual class counts for
its node and for no child. Classes stand in depth-first order, so that every subtree is a range of columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from core.errors import BelowTrainingClass, ContractError, IncoherentOutput, PartitionError, TaxonomyError
from core.partition import Partition
from core.taxonomy import IntArray

FloatArray = npt.NDArray[np.float64]
TOLERANCE = 1e-6
_MOST_MEMBERS = 2**22
"""Entries of the two-stage matrix above which running sums are taken: a chain would need their square."""

_BLOCK = 256
"""Cases summed at a time, so that the sums over runs are still in the processor's cache for the product."""


@dataclass(frozen=True)
class TreeSums:
    """Sums over one partition, built once and used for any number of cases.

    A node is *readable* where it holds at least one training class as a whole. Its probability is the
    column of its class where it is one, or a sum over a range of columns. Raises `PartitionError` for a
    partition without any class.
    """

    partition: Partition

    def __post_init__(self) -> None:
        if not self.partition.classes:
            raise PartitionError("the partition has no training class, so there is nothing to sum up")

    @cached_property
    def _ranges(self) -> tuple[IntArray, IntArray, IntArray]:
        """Positions of the readable inner nodes, and the range of columns below each."""
        taxonomy = self.partition.taxonomy
        starts = np.array([taxonomy.position(c.node) for c in self.partition.classes], np.int64)
        nodes = np.arange(len(taxonomy))
        # A residual shares its position with its node and so lies inside the node's own range.
        first = np.searchsorted(starts, nodes, "left")
        last = np.searchsorted(starts, taxonomy.end, "left")
        whole = np.zeros(len(taxonomy), bool)
        whole[[s for s, c in zip(starts, self.partition.classes, strict=True) if not c.residual]] = True
        inner = np.flatnonzero((last > first) & ~whole)
        return inner, first[inner], last[inner]

    @cached_property
    def _two_stage(self) -> tuple[IntArray, FloatArray] | None:
        """Starts of the runs of columns that no inner node cuts, and which run belongs to which node.

        `None` where that matrix would be too large.
        """
        _, first, last = self._ranges
        width = len(self.partition.classes)
        # No np.unique, which loads numpy.ma: a tenth of the time to the first answer.
        cut = np.zeros(width + 1, bool)
        cut[0] = cut[first] = cut[last] = True
        cuts = np.flatnonzero(cut[:width])
        if len(cuts) * len(first) > _MOST_MEMBERS:
            return None
        member = (cuts[:, None] >= first[None, :]) & (cuts[:, None] < last[None, :])
        return cuts, member.astype(np.float64)

    @cached_property
    def _columns(self) -> dict[str, int]:
        """Node id to column: a training class has its own, inner nodes follow behind the classes."""
        found = {c.node: k for k, c in enumerate(self.partition.classes) if not c.residual}
        width = len(self.partition.classes)
        inner, _, _ = self._ranges
        ids = self.partition.taxonomy.ids
        found.update({ids[i]: width + k for k, i in enumerate(inner.tolist())})
        return found

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Ids of the readable nodes in preorder, the root first."""
        taxonomy = self.partition.taxonomy
        return tuple(sorted(self._columns, key=taxonomy.position))

    def __contains__(self, node: object) -> bool:
        return node in self._columns

    def readable(self, node: str) -> bool:
        """Whether the node has a probability. Raises `UnknownNode` for a foreign id."""
        self.partition.taxonomy.position(node)
        return node in self._columns

    def inner(self, values: npt.NDArray[np.floating]) -> FloatArray:
        """Sums of the inner nodes: cases x classes to cases x inner nodes in preorder, in float64.

        Meant for cohorts too: it takes about as long as copying `values` twice. `of` gives named nodes,
        training classes among them.

        Raises `ContractError` for another number of columns than there are classes.
        """
        if values.ndim != 2 or values.shape[1] != len(self.partition.classes):
            raise ContractError(
                f"values are cases x {len(self.partition.classes)} classes, not {values.shape}"
            )
        if self._two_stage is None:
            _, first, last = self._ranges
            running = np.zeros((len(values), values.shape[1] + 1))
            np.cumsum(values, axis=1, out=running[:, 1:])
            return running[:, last] - running[:, first]
        cuts, member = self._two_stage
        found = np.empty((len(values), member.shape[1]))
        for k in range(0, len(values), _BLOCK):
            runs = np.add.reduceat(values[k : k + _BLOCK], cuts, axis=1, dtype=np.float64)
            np.matmul(runs, member, out=found[k : k + _BLOCK])
        return found

    def column(self, node: str) -> int:
        """Where a node stands in `[values, inner(values)]` side by side.

        Raises `BelowTrainingClass`, which names the class, where nothing can be read at the node.
        """
        column = self._columns.get(node)
        if column is not None:
            return column
        taxonomy = self.partition.taxonomy
        for above in reversed(taxonomy.path(node)):
            if above in self._columns and self._columns[above] < len(self.partition.classes):
                raise BelowTrainingClass(
                    f"{node!r} lies inside the training class {above!r}; nothing can be read below a class"
                )
        raise BelowTrainingClass(
            f"no training class lies at or below {node!r}: it had no images of its own in training"
        )

    def of(self, values: npt.NDArray[np.floating], nodes: tuple[str, ...]) -> FloatArray:
        """Probabilities of the named nodes: cases x classes to cases x nodes."""
        columns = [self.column(n) for n in nodes]
        width = len(self.partition.classes)
        if all(c < width for c in columns):
            return np.asarray(values[:, columns], np.float64)
        both = np.concatenate([np.asarray(values, np.float64), self.inner(values)], axis=1)
        return np.asarray(both[:, columns])

    def level(self, depth: int) -> tuple[str, ...]:
        """Readable nodes of a level. Raises `TaxonomyError` where the level does not exist."""
        found = tuple(n for n in self.partition.taxonomy.level(depth) if n in self._columns)
        if not found:
            raise TaxonomyError(f"no node of level {depth} can be read from these training classes")
        return found

    @cached_property
    def cover(self) -> tuple[str, ...]:
        """Disjoint readable nodes that hold every class: what a ranking lists.

        A split node with a residual stands for itself and all below it, since its residual is no node.
        """
        taxonomy = self.partition.taxonomy
        found: list[str] = []
        end = -1
        for c in self.partition.classes:
            at = taxonomy.position(c.node)
            if at >= end:
                found.append(c.node)
                end = int(taxonomy.end[at])
        return tuple(found)

    def check(self, values: npt.NDArray[np.floating]) -> None:
        """Raises `IncoherentOutput` where children and residual do not sum to their node within 1e-6.

        So does a value that is not finite or negative, and a root that is not 1.
        """
        if not np.isfinite(values).all() or (values < 0).any():
            raise IncoherentOutput("a probability is not finite or negative")
        nodes = self.nodes
        table = dict(zip(nodes, self.of(values, nodes).T, strict=True))
        residual = {c.node: k for k, c in enumerate(self.partition.classes) if c.residual}
        for node, total in table.items():
            below = [table[c] for c in self.partition.taxonomy.children(node) if c in table]
            if node in residual:
                below.append(np.asarray(values[:, residual[node]], np.float64))
            inner = self._columns[node] >= len(self.partition.classes)
            if inner and np.abs(total - np.sum(below, axis=0)).max() > TOLERANCE:
                raise IncoherentOutput(f"the children of {node!r} do not sum to it")
        if np.abs(table[self.partition.taxonomy.root] - 1).max() > TOLERANCE:
            raise IncoherentOutput("the root is not 1")
