"""What is the probability of a training class, and of any node of the tree?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from core.errors import ContractError, NonFiniteOutput, TaxonomyError
from core.tree import FloatArray, TreeSums

SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class LeafProbabilities:
    """One distribution over training classes: float64, finite, >= 0, sum 1, addressed by name.

    Raises `NonFiniteOutput` for NaN, infinite, negative or all-zero values or a sum that is off by more
    than 1e-6, `ContractError` where classes and values do not match in number.
    """

    classes: tuple[str, ...]
    values: FloatArray

    def __post_init__(self) -> None:
        values = np.array(self.values, np.float64)
        if values.shape != (len(self.classes),):
            raise ContractError(f"{values.shape} values for {len(self.classes)} training classes")
        # A comparison with NaN is false, and what is infinite makes the sum so: two passes see every fault.
        if not (values.min(initial=1.0) >= 0 and abs(values.sum() - 1) <= SUM_TOLERANCE):
            raise NonFiniteOutput(
                "probabilities of training classes must be finite, >= 0 and sum to 1 within 1e-6"
            )
        values.setflags(write=False)
        object.__setattr__(self, "values", values)

    def __getitem__(self, name: str) -> float:
        """Probability of one class by its id. Raises `KeyError`."""
        return float(self.values[self._index[name]])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LeafProbabilities):
            return NotImplemented
        return self.classes == other.classes and np.array_equal(self.values, other.values)

    __hash__ = None  # type: ignore[assignment]

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def to_dict(self) -> dict[str, float]:
        """Class id to probability, in the order of the classes."""
        return dict(zip(self.classes, self.values.tolist(), strict=True))

    @classmethod
    def from_weights(cls, classes: Sequence[str], weights: npt.ArrayLike) -> LeafProbabilities:
        """Scales weights >= 0 to sum 1 in float64. Raises `NonFiniteOutput` where they cannot be."""
        given = np.asarray(weights, np.float64)
        with np.errstate(over="ignore"):
            total = given.sum()
        if not (given.min(initial=np.inf) >= 0 and 0 < total < np.inf):
            raise NonFiniteOutput("weights of training classes must be finite, >= 0 and not all zero")
        return cls(tuple(classes), given / total)

    @classmethod
    def from_logits(cls, classes: Sequence[str], logits: npt.ArrayLike) -> LeafProbabilities:
        """One softmax in float64. Raises `NonFiniteOutput` for a logit that is not finite."""
        given = np.asarray(logits, np.float64)
        if not given.size or not (-np.inf < given.min() and (largest := given.max()) < np.inf):
            raise NonFiniteOutput("a logit is not finite, or there is none")
        return cls.from_weights(classes, np.exp(given - largest))


def mean(probabilities: Iterable[LeafProbabilities]) -> LeafProbabilities:
    """Arithmetic mean; of one distribution, itself. The order of the members does not change a bit."""
    members = list(probabilities)
    if len(members) == 1:
        return members[0]
    # Sorting each class's values makes the floating-point sum independent of their order.
    stacked = np.sort(np.stack([m.values for m in members]), axis=0)
    return LeafProbabilities.from_weights(members[0].classes, stacked.sum(axis=0))


@dataclass(frozen=True)
class TreeProbabilities:
    """Probabilities of every readable node, summed up from the training classes of one case."""

    sums: TreeSums
    leaf: LeafProbabilities

    def __post_init__(self) -> None:
        if self.leaf.classes != self.sums.partition.ids:
            raise ContractError("the probabilities belong to other training classes than the tree")

    @cached_property
    def _table(self) -> FloatArray:
        values = self.leaf.values[None, :]
        table = np.concatenate([values, self.sums.inner(values)], axis=1)[0]
        table.setflags(write=False)
        return np.asarray(table)

    def __getitem__(self, node: str) -> float:
        """P(node). Raises `UnknownNode`, or `BelowTrainingClass` where nothing can be read there."""
        return float(self._table[self.sums.column(node)])

    def __contains__(self, node: object) -> bool:
        return isinstance(node, str) and node in self.sums

    def to_dict(self) -> dict[str, float]:
        """Id of every readable node, in preorder, to its probability; the root's is 1."""
        return {node: self[node] for node in self.sums.nodes}

    def level(self, depth: int) -> dict[str, float]:
        """Readable nodes of a level with their probabilities.

        They sum to less than 1 where a training class or a residual lies above the level.
        """
        return {node: self[node] for node in self.sums.level(depth)}

    def argmax(self, depth: int) -> str:
        """The most probable node of a level; the first in preorder among equals. Not a walk down."""
        level = self.level(depth)
        return max(level, key=level.__getitem__)

    def most_specific(self, *, at_least: float = 0.5) -> str:
        """The deepest node whose probability reaches the threshold; the more probable at equal depth.

        Above .5 at most one node of a level can reach it. The root always does. Raises `TaxonomyError`
        for a threshold outside (0, 1].
        """
        if not 0 < at_least <= 1:
            raise TaxonomyError(f"at_least is {at_least!r}; a probability in (0, 1] is needed")
        taxonomy = self.sums.partition.taxonomy
        best = taxonomy.root
        for node in self.sums.nodes:
            here = self[node]
            key, top = taxonomy.node(node).depth, taxonomy.node(best).depth
            if here >= at_least and (key > top or (key == top and here > self[best])):
                best = node
        return best

    def within(self, node: str) -> Conditional:
        """Probabilities given that the diagnosis lies below `node`: P(u | node) = P(u) / P(node)."""
        return Conditional(self, (node,))

    def within_any(self, nodes: Sequence[str]) -> Conditional:
        """Probabilities given that the diagnosis lies below one of several disjoint nodes."""
        return Conditional(self, tuple(nodes))

    def ranked(self) -> list[tuple[str, float]]:
        """Disjoint nodes that hold everything, most probable first; preorder among equals."""
        return sorted(((n, self[n]) for n in self.sums.cover), key=lambda pair: -pair[1])


@dataclass(frozen=True)
class Conditional:
    """Probabilities conditional on a set of disjoint subtrees.

    Raises `TaxonomyError` where the subtrees overlap or their probability is zero.
    """

    tree: TreeProbabilities
    given: tuple[str, ...]

    def __post_init__(self) -> None:
        taxonomy = self.tree.sums.partition.taxonomy
        for i, one in enumerate(self.given):
            for other in self.given[i + 1 :]:
                if taxonomy.covers(one, other) or taxonomy.covers(other, one):
                    raise TaxonomyError(f"{one!r} and {other!r} overlap; disjoint nodes are needed")
        if not self.total > 0:
            raise TaxonomyError("the given nodes have probability zero; nothing is conditional on them")

    @cached_property
    def total(self) -> float:
        """P(given)."""
        return sum(self.tree[node] for node in self.given)

    def __getitem__(self, node: str) -> float:
        """P(node | given): the part of the node inside the given subtrees, over their probability."""
        taxonomy = self.tree.sums.partition.taxonomy
        if any(taxonomy.covers(g, node) for g in self.given):
            return self.tree[node] / self.total
        return sum(self.tree[g] for g in self.given if taxonomy.covers(node, g)) / self.total

    def to_dict(self) -> Mapping[str, float]:
        """Every readable node inside the given subtrees with its conditional probability."""
        taxonomy = self.tree.sums.partition.taxonomy
        inside = (n for n in self.tree.sums.nodes if any(taxonomy.covers(g, n) for g in self.given))
        return {n: self[n] for n in inside}
