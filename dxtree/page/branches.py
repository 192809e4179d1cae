"""How is an answer read as a tree? Branches by probability, those that lead to the answer open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.taxonomy import Taxonomy

NOTHING = 5e-4
"""What is left over of a node is shown from here: .05 %, what a percentage with one decimal can show."""


@dataclass(frozen=True)
class Branch:
    """One node of the answer. `rest` is the part of `probability` that none of its children holds."""

    node: str
    label: str
    probability: float
    children: tuple[Branch, ...]
    rest: float
    is_open: bool
    number: int
    """Place in the taxonomy, by which the page names what belongs to the node."""


def branches(tree: Mapping[str, float], taxonomy: Taxonomy, answer: str | None) -> tuple[Branch, ...]:
    """What stands below the root, most probable first. Only nodes of `tree` are readable and shown."""
    way = set(taxonomy.path(answer)) if answer is not None else set()
    made: dict[str, Branch] = {}
    # Children stand behind their parents, so they are there when a parent is made; nothing recurses.
    for node in reversed([n for n in taxonomy.ids if n in tree]):
        below = sorted((made[c] for c in taxonomy.children(node) if c in made), key=lambda b: -b.probability)
        rest = tree[node] - sum(b.probability for b in below) if below else 0.0
        made[node] = Branch(
            node=node,
            label=taxonomy.label(node),
            probability=tree[node],
            children=tuple(below),
            rest=rest if rest >= NOTHING else 0.0,
            is_open=node in way and node != answer,
            number=taxonomy.position(node),
        )
    root = made.get(taxonomy.root)
    return root.children if root is not None else ()
