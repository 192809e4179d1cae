"""What changed from one version of a tree to another? By id: a node keeps its identity as long as its id."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from core.taxonomy import Taxonomy
from dxtree.taxonomies.names import normalised


@dataclass(frozen=True, slots=True)
class Change:
    """One node's value before and after: its name or its parent."""

    node: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Difference:
    """Everything that differs.

    `reordered` names parents whose common children stand in another order, which changes the fingerprint.
    `perhaps` pairs a removed with an added node where they alone bear one name: where ids are made of the
    names above, a move shows as that. Nothing is concluded from it.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    renamed: tuple[Change, ...]
    moved: tuple[Change, ...]
    reordered: tuple[str, ...]
    perhaps: tuple[Change, ...]

    @property
    def none(self) -> bool:
        """Whether the two are one tree."""
        return not (self.added or self.removed or self.renamed or self.moved or self.reordered)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def difference(before: Taxonomy, after: Taxonomy) -> Difference:
    """What was added, removed, renamed, moved under another parent and put into another order."""
    added = [n for n in after if n not in before]
    removed = [n for n in before if n not in after]
    both = [n for n in after if n in before]
    renamed = [Change(n, before.label(n), after.label(n)) for n in both if before.label(n) != after.label(n)]
    ups = ((n, before.node(n).parent, after.node(n).parent) for n in both)
    moved = [Change(n, old, new) for n, old, new in ups if old != new]
    return Difference(
        tuple(added),
        tuple(removed),
        tuple(renamed),
        tuple(moved),
        tuple(_reordered(before, after, both)),
        tuple(_perhaps(before, removed, after, added)),
    )


def _reordered(before: Taxonomy, after: Taxonomy, both: Iterable[str]) -> list[str]:
    rows: dict[Taxonomy, dict[str, list[str]]] = {tree: defaultdict(list) for tree in (before, after)}
    for tree, children in rows.items():
        for node in tree.ids:  # preorder, so that the children of one node stand in their order
            up = tree.node(node).parent
            if up is not None:
                children[up].append(node)
    found = []
    for node in both:
        old, new = rows[before].get(node, []), rows[after].get(node, [])
        if old != new:
            kept = set(old) & set(new)
            if [n for n in old if n in kept] != [n for n in new if n in kept]:
                found.append(node)
    return found


def _perhaps(before: Taxonomy, removed: Iterable[str], after: Taxonomy, added: Iterable[str]) -> list[Change]:
    names: tuple[dict[str, list[str]], dict[str, list[str]]] = defaultdict(list), defaultdict(list)
    for found, tree, nodes in zip(names, (before, after), (removed, added), strict=True):
        for node in nodes:
            found[normalised(tree.label(node))].append(node)
    alone = ((names[0][n], names[1].get(n, [])) for n in names[0])
    return [Change(old[0], old[0], new[0]) for old, new in alone if len(old) == len(new) == 1]
