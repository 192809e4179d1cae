"""Which node of another tree means the same, and what has no counterpart there?

By a reviewed table first, then by id, by a code that both bear, and by name or synonym. The first of these
that knows any counterpart decides; several at once decide nothing. Near names are proposed, never used.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from core.taxonomy import Taxonomy
from dxtree.exchange.codes import codes_of
from dxtree.taxonomies.names import NearNames, normalised
from dxtree.taxonomies.source import Tree

Status = Literal["matched", "ancestor only", "ambiguous", "no counterpart"]
STATUSES: tuple[Status, ...] = ("matched", "ancestor only", "ambiguous", "no counterpart")


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What is known of one node. `to` is its counterpart; where there is none, of its nearest ancestor that
    has one. `by` says how that was found, `also` holds the candidates that decided nothing, `near` proposals.
    """

    node: str
    name: str
    status: Status
    to: str | None = None
    by: str = ""
    also: tuple[str, ...] = ()
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mapped:
    """Every node of `source` below its root, in the tree's order. Roots map to none."""

    source: Taxonomy
    target: Taxonomy
    nodes: tuple[Counterpart, ...]

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """Nodes by status."""
        found = Counter(c.status for c in self.nodes)
        return {status: found[status] for status in STATUSES}

    @cached_property
    def shared(self) -> Mapping[str, tuple[str, ...]]:
        """Nodes of the target that several nodes of the source are matched with."""
        found: dict[str, list[str]] = defaultdict(list)
        for c in self.nodes:
            if c.status == "matched" and c.to is not None:
                found[c.to].append(c.node)
        return {to: tuple(nodes) for to, nodes in found.items() if len(nodes) > 1}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        trees = {
            key: {"name": t.name, "nodes": len(t), "fingerprint": t.fingerprint}
            for key, t in (("from", self.source), ("to", self.target))
        }
        return {
            **trees,
            "counts": dict(self.counts),
            "shared": {to: list(nodes) for to, nodes in self.shared.items()},
            "nodes": [asdict(c) for c in self.nodes],
        }


def map_trees(
    source: Tree,
    target: Tree,
    reviewed: Mapping[str, str | None] | None = None,
    *,
    codes: tuple[str | None, str | None] = (None, None),
    propose: bool = True,
) -> Mapped:
    """Finds the counterpart of every node of `source` in `target`.

    `reviewed` maps nodes to nodes, or to `None` where somebody saw that there is none. `codes` names, for
    either tree, the code system that its ids are codes of ("ICD-10"); without it ids are no codes.
    """
    decided = reviewed or {}
    root = target.taxonomy.root
    by_name, by_code = defaultdict(list), defaultdict(list)
    for node in target.taxonomy.ids[1:]:
        for name in dict.fromkeys(normalised(n) for n in _names(target, node)):
            by_name[name].append(node)
        for code in _codes(target, node, codes[1]):
            by_code[code].append(node)
    near = NearNames({n: _names(target, n) for n in target.taxonomy.ids[1:]}) if propose else None
    found: dict[str, Counterpart] = {}
    for node in source.taxonomy.ids[1:]:
        name = source.taxonomy.label(node)
        by, candidates = "", list[str]()
        if node in decided:
            to = decided[node]
            by, candidates = "reviewed", [to] if to is not None else []
        elif node in target.taxonomy and node != root:
            by, candidates = "id", [node]
        elif shared := _union(by_code, _codes(source, node, codes[0])):
            by, candidates = "code", shared
        elif shared := _union(by_name, (normalised(n) for n in _names(source, node))):
            by, candidates = "name", shared
        if len(candidates) == 1:
            found[node] = Counterpart(node, name, "matched", candidates[0], by)
            continue
        above = found.get(source.taxonomy.node(node).parent or "")
        to, also = (above.to if above else None), tuple(candidates)
        proposals = () if near is None or candidates or by else near.near(_names(source, node))
        status: Status = "ambiguous" if candidates else "ancestor only" if to else "no counterpart"
        found[node] = Counterpart(node, name, status, to, by, also, tuple(n for n, _ in proposals))
    return Mapped(source.taxonomy, target.taxonomy, tuple(found.values()))


def _names(tree: Tree, node: str) -> tuple[str, ...]:
    return (tree.taxonomy.label(node), *tree.synonyms.get(node, ()))


def _codes(tree: Tree, node: str, system: str | None) -> list[tuple[str, str]]:
    known = [(c.system.name, c.code) for c in codes_of(tree.taxonomy, node)]
    return [*known, (system, node)] if system else known


def _union(index: Mapping[Any, list[str]], keys: Any) -> list[str]:
    """The nodes of every key, each once, in the order found."""
    return list(dict.fromkeys(node for key in keys for node in index.get(key, ())))
