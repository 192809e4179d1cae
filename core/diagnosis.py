"""What does a caller get back? A ranked, readable answer on the tree, with what was used and missing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Literal

from core.checks import ImageCheck
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.protocols import Evidence

RESEARCH_USE = "For research use only. Not a medical device; not a diagnosis by a clinician."

Status = Literal["complete", "partial", "abstained"]
"""`complete`: every image entered the answer. `partial`: some were left out, and a notice says which and
why. `abstained`: no answer should be read; the notices give the reasons."""


@dataclass(frozen=True)
class Notice:
    """One remark on an answer. `code` is stable for programs; `text` repeats no value of the patient."""

    code: str
    text: str


@dataclass(frozen=True)
class Diagnosis:
    """The answer for one case. `tree` and `leaf` are `None` where no image could be judged."""

    case_id: str
    status: Status
    tree: TreeProbabilities | None
    leaf: LeafProbabilities | None
    evidence: tuple[Evidence, ...]
    fuser: str
    used: tuple[str, ...]
    missing: tuple[str, ...]
    notices: tuple[Notice, ...] = ()
    modalities_failed: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[ImageCheck, ...] = ()
    """What was looked for in each image, in order, without the checks that are off."""

    def most_specific(self, *, at_least: float = 0.5) -> str | None:
        """Deepest node that reaches the threshold; `None` where there is no tree."""
        return self.tree.most_specific(at_least=at_least) if self.tree else None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, and what the published schema describes. It holds no input but the case's own id."""
        names = self.tree.sums.partition.taxonomy.label if self.tree else str
        return {
            "case_id": self.case_id,
            "status": self.status,
            "answer": self.most_specific(),
            "ranked": [
                {"id": node, "name": names(node), "probability": p}
                for node, p in (self.tree.ranked() if self.tree else [])
            ],
            "tree": self.tree.to_dict() if self.tree else {},
            "used": list(self.used),
            "missing": list(self.missing),
            "modalities_failed": dict(self.modalities_failed),
            "notices": [{"code": n.code, "text": n.text} for n in self.notices],
            "checks": [found.to_dict() for found in self.checks],
            "fuser": self.fuser,
            "provenance": dict(self.provenance),
            "research_use": RESEARCH_USE,
        }

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self, *, least: float = 0.02) -> list[str]:
        lines = []
        if self.tree is None:
            lines.append("no answer")
        else:
            lines += tree_lines(self.tree, least=least)
        lines.append(f"status   {self.status} (fused by {self.fuser})")
        lines.append(f"used     {', '.join(self.used) or 'nothing'}")
        lines.append(f"missing  {', '.join(self.missing) or 'nothing'}")
        lines += [f"notice   {n.text}" for n in self.notices]
        return [*lines, RESEARCH_USE]


def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of `Diagnosis.to_dict()`."""
    text = resources.files("core.schemas").joinpath("diagnosis.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def tree_lines(tree: TreeProbabilities, *, least: float = 0.02) -> list[str]:
    """The tree as text, most probable branches first, without nodes below `least`; the top answer marked."""
    taxonomy = tree.sums.partition.taxonomy
    answer = tree.most_specific()
    lines: list[str] = []
    # Depth is the number of ancestors, so indentation needs no recursion.
    stack = _by_probability(tree, taxonomy.root, least)
    while stack:
        node = stack.pop()
        depth = taxonomy.node(node).depth
        mark = "  <- most specific at 50 %" if node == answer else ""
        lines.append(f"{tree[node]:6.1%}  {'   ' * (depth - 1)}{taxonomy.label(node)}{mark}")
        stack += _by_probability(tree, node, least)
    return lines or ["no branch reaches the threshold of this print"]


def _by_probability(tree: TreeProbabilities, node: str, least: float) -> list[str]:
    below = [c for c in tree.sums.partition.taxonomy.children(node) if c in tree and tree[c] >= least]
    return sorted(below, key=tree.__getitem__)
