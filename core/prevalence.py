"""What do the probabilities become where diagnoses are as frequent as in a certain clinic?

Bayes' rule with another prior: P'(c|x) is proportional to P(c|x) t(c) / s(c), where s is the mixture of
classes in which the answers are right and t the clinic's (Elkan 2001; Saerens, Latinne and Decaestecker
2002). The clinic is told by nodes of the tree: within a named node, and outside all of them, whatever is
not named itself keeps the proportions of s. Only leaves are weighted, so that the tree stays coherent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from core.case import PatientMetadata
from core.errors import ContractError, TaxonomyError
from core.guarding import GuardedFuser
from core.probabilities import LeafProbabilities
from core.protocols import Adjustment
from core.tree import FloatArray, TreeSums

NAME = "prevalence"

LEAST_SOURCE = 1e-12
"""Shares of the source mixture below this count as 0: no ratio to them says anything in float64."""

SAME = 1e-9
"""Relative difference up to which shares of parts and whole count as equal: what decimals add up to."""


@dataclass(frozen=True)
class Prevalence:
    """The shift from `source` to a mixture in which each node of `shares` has its share, in (0, 1).

    `source_given` says that a caller chose the source. Raises `UnknownNode` and `BelowTrainingClass` for a
    node that cannot be read, `ContractError` for a source of other classes, and `TaxonomyError` for the
    root, a share outside (0, 1), a node that the source has nothing of, parts that exceed their whole or
    leave nothing for a rest that the source has, and parts that are complete and do not sum to their whole.
    """

    sums: TreeSums
    source: LeafProbabilities
    shares: Mapping[str, float]
    source_given: bool = False

    def __post_init__(self) -> None:
        if self.source.classes != self.sums.partition.ids:
            raise ContractError("the source mixture is over other training classes than the tree")
        taxonomy = self.sums.partition.taxonomy
        for node, share in self.shares.items():
            self._check(node, share)
        ordered = {n: float(self.shares[n]) for n in sorted(self.shares, key=taxonomy.position)}
        object.__setattr__(self, "shares", ordered)
        object.__setattr__(self, "_factors", self._weigh())

    @property
    def name(self) -> str:
        """Always `prevalence`."""
        return NAME

    @property
    def provenance(self) -> Mapping[str, str]:
        """The shares that were asked for, and who told the source."""
        shares = ", ".join(f"{node}={share!r}" for node, share in self.shares.items())
        return {"shares": shares, "source": "caller" if self.source_given else "fuser or calibration"}

    @property
    def text(self) -> str:
        """One sentence for people."""
        shares = ", ".join(f"{100 * share:.4g} % {node}" for node, share in self.shares.items())
        return f"probabilities are for a prevalence of {shares}; the rest as in the source mixture"

    @cached_property
    def mixture(self) -> LeafProbabilities:
        """The mixture of training classes after the shift: where its answers are right."""
        return self.apply(self.source)

    def apply(self, leaf: LeafProbabilities) -> LeafProbabilities:
        """The probabilities under the clinic's mixture. Raises `ContractError` for other classes."""
        if leaf.classes != self.source.classes:
            raise ContractError("the probabilities belong to other training classes than the prevalence")
        factors: FloatArray = self._factors  # type: ignore[attr-defined]
        return LeafProbabilities.from_weights(leaf.classes, leaf.values * factors)

    def _check(self, node: str, share: float) -> None:
        self.sums.column(node)
        if node == self.sums.partition.taxonomy.root:
            raise TaxonomyError(f"{node!r} is the root, whose share is always 1; name nodes below it")
        if not isinstance(share, int | float) or not 0 < share < 1:
            raise TaxonomyError(f"the share of {node!r} is {share!r}; a number above 0 and below 1 is needed")

    def _weigh(self) -> FloatArray:
        """One factor a class: the share left to its nearest named node, over the same in the source."""
        partition, source = self.sums.partition, self.source.values
        taxonomy = partition.taxonomy
        starts = taxonomy.positions(c.node for c in partition.classes)
        nodes = (taxonomy.root, *self.shares)
        owner = np.zeros(len(starts), np.int64)
        parts: list[list[float]] = [[] for _ in nodes]
        held = [1.0]
        for k, (node, share) in enumerate(self.shares.items(), start=1):
            at = taxonomy.position(node)
            inside = (starts >= at) & (starts < taxonomy.end[at])
            # In preorder a node comes after those above it, so the classes still belong to the nearest one.
            parts[owner[inside][0]].append(share)
            owner[inside] = k
            held.append(float(source[inside].sum()))
            if held[k] < LEAST_SOURCE:
                raise TaxonomyError(f"the source mixture has nothing of {node!r}, so no share can be scaled")
        factors = np.empty(len(nodes))
        for k, node in enumerate(nodes):
            whole = self.shares.get(node, 1.0)
            rest = float(source[owner == k].sum())
            factors[k] = _factor(node, whole, math.fsum(parts[k]), held[k], rest)
        return np.asarray(factors[owner])


def _factor(node: str, whole: float, parts: float, held: float, rest: float) -> float:
    """What the classes that no deeper named node holds are multiplied with.

    `held` and `rest` are shares of the source: the node's, and what the named nodes below it do not hold.
    """
    left = whole - parts
    if rest >= LEAST_SOURCE:
        if left > SAME * whole:
            return left / rest
        raise TaxonomyError(
            f"the shares below {node!r} sum to {parts:.9g} of its {whole:.9g} and leave nothing for the rest "
            "of it; lower them"
        )
    if parts and abs(left) > SAME * whole:
        raise TaxonomyError(
            f"the shares below {node!r} sum to {parts:.9g} and are all there is of it; {whole:.9g} is needed"
        )
    return whole / held


def source_mixture(fuser: GuardedFuser, adjustments: Sequence[Adjustment]) -> LeafProbabilities:
    """The mixture of training classes in which the adjusted answers of a fuser are right.

    The last adjustment with an attribute `mixture` says it, else the fuser by such an attribute, else by
    its `prior` of a patient of whom nothing is known. Raises `ContractError` where none of them does.
    """
    for one in (*reversed(adjustments), fuser.fuser):
        told = getattr(one, "mixture", None)
        if isinstance(told, LeafProbabilities):
            return told
    prior = fuser.prior(PatientMetadata())
    if prior is None:
        raise ContractError(
            f"fuser {fuser.name!r} does not say in which mixture of diagnoses its answers are right; choose "
            "one that does, or give with_prevalence the mixture as source="
        )
    return prior
