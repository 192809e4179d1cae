"""Which diagnoses remain possible at a stated coverage, and which one node of the tree holds them all?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from core.cells import Level
from core.diagnosis import RESEARCH_USE
from core.errors import ContractError
from core.taxonomy import Taxonomy

Score = Literal["lac", "aps", "aps_randomised"]
"""`lac`: 1 - P(cell), the smallest sets on average (Sadinle et al. 2019). `aps`: the probability of all that
is more probable, so that sets grow with the model's doubt (Romano et al. 2020); it covers more than asked.
`aps_randomised`: with a random part of P(cell) added, which makes that exact; needs the case's id."""


@dataclass(frozen=True)
class Member:
    """One cell of a set. `passed` is false only for a most probable cell whose score did not pass."""

    id: str
    node: str
    probability: float
    passed: bool
    shared_at: str | None


@dataclass(frozen=True)
class PredictionSet:
    """What remains possible for one case: members, most probable first, and the node that covers them all.

    `cover` is the deepest node with every member at or below it. It holds the truth at least as often as the
    set does, so that it may be stated with the same coverage.
    """

    level: Level
    coverage: float
    score: Score
    per_class: bool
    members: tuple[Member, ...]
    cover: str
    taxonomy: Taxonomy = field(repr=False, compare=False)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the members, most probable first."""
        return tuple(m.id for m in self.members)

    def lifted(self, depth: int) -> tuple[str, ...]:
        """The members' nodes at a level above, in preorder: a set of that level, of the same coverage.

        A member that lies above the level stays. Raises `ContractError` for a depth below 1.
        """
        if depth < 1:
            raise ContractError(f"depth is {depth}; levels count from 1")
        up = {self.taxonomy.ancestor_at(m.node, depth) or m.node for m in self.members}
        return tuple(sorted(up, key=self.taxonomy.position))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        label = self.taxonomy.label
        return {
            "level": self.level,
            "coverage": self.coverage,
            "score": self.score,
            "per_class": self.per_class,
            "members": [
                {
                    "id": m.id,
                    "name": label(m.node),
                    "probability": m.probability,
                    "passed": m.passed,
                    "shared_at": m.shared_at,
                }
                for m in self.members
            ],
            "cover": {"id": self.cover, "path": self._path()},
            "research_use": RESEARCH_USE,
        }

    def _path(self) -> list[str]:
        return [self.taxonomy.label(n) for n in self.taxonomy.path(self.cover)[1:]]

    def __str__(self) -> str:
        kind = "for each class" if self.per_class else "over all lesions"
        where = self.level if isinstance(self.level, str) else f"level {self.level}"
        lines = [
            f"{self.coverage:.0%} set at {where}, {kind} ({self.score})",
            f"all within {', '.join(self._path()) or 'any diagnosis'}",
        ]
        for m in self.members:
            notes = [] if m.passed else ["most probable, though its score did not pass"]
            if self.per_class and m.shared_at is not None:
                notes.append(f"quantile shared at {self.taxonomy.label(m.shared_at)}")
            named = self.taxonomy.label(m.node)
            lines.append("  ".join([f"{m.probability:6.1%}", named, *(f"({note})" for note in notes)]))
        return "\n".join([*lines, RESEARCH_USE])
