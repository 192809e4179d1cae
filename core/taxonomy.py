"""Which diagnoses exist, and which lies under which?

A `Taxonomy` is an immutable tree of any depth, kept as arrays in depth-first preorder, so that every
subtree is a range of positions and nothing here recurses.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import TaxonomyError, UnknownNode, did_you_mean
from core.preorder import preorder, subtree_ends

ROOT = "root"
"""Id of the node above the first level: any diagnosis at all. Its probability is 1."""

SEPARATOR = ":"
"""Joins the names on the way from the first level to a node into that node's id."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Node:
    """One diagnosis or group of diagnoses. `depth` is 0 at the root, 1 at the first level."""

    id: str
    name: str
    parent: str | None
    depth: int


class Taxonomy:
    """An immutable tree of diagnoses. Labels may sit on inner nodes as well as on leaves.

    `name` identifies the vocabulary, `parents` maps every node id to its parent's id and exactly one id,
    the root, to `None`. Children keep the order in which they are given. `names` gives display names;
    a node without one shows its id.

    Raises `TaxonomyError` naming the culprit for a cycle, two roots, no root, a parent that does not
    exist, an empty id or a text that UTF-8 cannot hold.
    """

    def __init__(
        self, name: str, parents: Mapping[str, str | None], names: Mapping[str, str] | None = None
    ) -> None:
        _check_texts("the name of a taxonomy", [name])
        self.name = name
        ids = list(parents)
        order, depth, parent = preorder(ids, parents)
        self.ids: tuple[str, ...] = tuple(ids[i] for i in order)
        """All node ids, the root first, in depth-first preorder."""
        self.parent: IntArray = _frozen(parent)
        """Position of each node's parent; -1 at the root."""
        self.depth: IntArray = _frozen(depth)
        """Distance from the root."""
        self.end: IntArray = _frozen(subtree_ends(depth))
        """The subtree of the node at position i is the range from i up to but not including end[i]."""
        shown = names or {}
        for unknown in shown.keys() - parents.keys():
            raise TaxonomyError(f"a display name is given for {unknown!r}, which is no node of {name!r}")
        self._names = tuple(shown.get(i, i) for i in self.ids)
        _check_texts("a node id", self.ids)
        _check_texts("a display name", self._names)

    @cached_property
    def _position(self) -> dict[str, int]:
        return {node: i for i, node in enumerate(self.ids)}

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over ids and parents in order: two trees with one fingerprint mean the same."""
        parents = (self.ids[p] if p >= 0 else None for p in self.parent.tolist())
        text = json.dumps([[i, p] for i, p in zip(self.ids, parents, strict=True)], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def __len__(self) -> int:
        """Number of nodes, the root included."""
        return len(self.ids)

    def __contains__(self, node: object) -> bool:
        return node in self._position

    def __iter__(self) -> Iterator[str]:
        return iter(self.ids)

    def __repr__(self) -> str:
        return f"Taxonomy({self.name!r}, {len(self)} nodes, {self.max_depth} levels)"

    @property
    def root(self) -> str:
        """Id of the root."""
        return self.ids[0]

    @property
    def max_depth(self) -> int:
        """Number of levels below the root."""
        return int(self.depth.max())

    def position(self, node: str) -> int:
        """Place of a node in the preorder. Raises `UnknownNode`."""
        try:
            return self._position[node]
        except KeyError:
            near = did_you_mean(node, self.ids) if len(self.ids) < 50_000 else ""
            raise UnknownNode(f"{node!r} is no node of taxonomy {self.name!r}{near}") from None

    def positions(self, nodes: Iterable[str]) -> IntArray:
        """Places of many nodes. Raises `UnknownNode` for the first that does not exist."""
        wanted = list(nodes)
        try:
            return np.fromiter(map(self._position.__getitem__, wanted), np.int64, len(wanted))
        except KeyError:
            return np.array([self.position(node) for node in wanted])

    def node(self, node: str) -> Node:
        """The node of this id. Raises `UnknownNode`."""
        i = self.position(node)
        up = int(self.parent[i])
        return Node(node, self._names[i], self.ids[up] if up >= 0 else None, int(self.depth[i]))

    def label(self, node: str) -> str:
        """Display name of a node. Raises `UnknownNode`."""
        return self._names[self.position(node)]

    def children(self, node: str) -> tuple[str, ...]:
        """Ids of the direct children, in order."""
        i = self.position(node)
        found, at = [], i + 1
        while at < self.end[i]:
            found.append(self.ids[at])
            at = int(self.end[at])
        return tuple(found)

    def path(self, node: str) -> tuple[str, ...]:
        """Ids from the root down to the node, both included."""
        i = self.position(node)
        up = [i]
        while (i := int(self.parent[i])) >= 0:
            up.append(i)
        return tuple(self.ids[k] for k in reversed(up))

    def ancestor_at(self, node: str, depth: int) -> str | None:
        """The node itself or its ancestor at this depth; `None` where the node lies above that level."""
        path = self.path(node)
        return path[depth] if 0 <= depth < len(path) else None

    def is_leaf(self, node: str) -> bool:
        """Whether nothing lies below the node."""
        i = self.position(node)
        return bool(self.end[i] == i + 1)

    def covers(self, above: str, below: str) -> bool:
        """Whether `below` is `above` itself or lies in its subtree."""
        i, k = self.position(above), self.position(below)
        return bool(i <= k < self.end[i])

    def level(self, depth: int) -> tuple[str, ...]:
        """Ids of the nodes at a depth, in order. Raises `TaxonomyError` for a level that does not exist."""
        if not 0 <= depth <= self.max_depth:
            raise TaxonomyError(
                f"level {depth} does not exist in {self.name!r}; levels are 0 (root) to {self.max_depth}"
            )
        return tuple(self.ids[i] for i in np.flatnonzero(self.depth == depth).tolist())

    @classmethod
    def from_paths(cls, name: str, paths: Iterable[Sequence[str]]) -> Taxonomy:
        """Builds the tree from the names on the way from the first level down to each node.

        Ids are the names joined by ``:``; ancestors that are not listed themselves are added; a path
        given twice adds nothing. Raises `TaxonomyError` for an empty name, one that contains ``:`` or
        a first level named ``root``.
        """
        parents: dict[str, str | None] = {ROOT: None}
        names: dict[str, str] = {}
        for path in paths:
            above = ROOT
            if path and path[0] == ROOT:
                raise TaxonomyError(
                    f"{ROOT!r} is the id of the node above the first level, which needs no row"
                )
            for part in path:
                if not part or SEPARATOR in part:
                    raise TaxonomyError(f"a name must not be empty or contain {SEPARATOR!r}: {part!r}")
                here = part if above == ROOT else above + SEPARATOR + part
                parents.setdefault(here, above)
                names[here] = part
                above = here
        return cls(name, parents, names)

    @classmethod
    def from_json(cls, source: str | PathLike[str]) -> Taxonomy:
        """Reads ``{"name": ..., "nodes": [{"id", "name", "parent"}, ...]}``; the root's parent is null."""
        try:
            return cls.from_dict(json.loads(Path(source).read_text("utf-8-sig")))
        except (ValueError, RecursionError) as error:
            raise TaxonomyError(
                f"{Path(source).name} is no JSON in UTF-8 ({type(error).__name__})"
            ) from error
        except OSError as error:
            raise TaxonomyError(f"{Path(source).name} cannot be read ({type(error).__name__})") from error

    @classmethod
    def from_dict(cls, raw: Any) -> Taxonomy:
        """The same from what JSON holds."""
        try:
            nodes = raw["nodes"]
            parents = {n["id"]: n["parent"] for n in nodes}
            names = {n["id"]: n.get("name", n["id"]) for n in nodes}
            name = raw["name"]
        except (KeyError, TypeError, AttributeError) as error:
            raise TaxonomyError(
                'a taxonomy in JSON is {"name", "nodes": [{"id", "name", "parent"}]}; '
                f"this one cannot be read ({type(error).__name__}: {error})"
            ) from error
        if len(parents) != len(nodes):
            twice = next(i for i, k in Counter(n["id"] for n in nodes).items() if k > 1)
            raise TaxonomyError(f"node id {twice!r} stands twice in the file; ids are unique")
        return cls(name, parents, names)

    def to_json(self) -> str:
        """The form that `from_json` reads."""
        nodes = [
            {"id": i, "name": n, "parent": self.ids[p] if p >= 0 else None}
            for i, n, p in zip(self.ids, self._names, self.parent.tolist(), strict=True)
        ]
        return json.dumps({"name": self.name, "nodes": nodes}, ensure_ascii=False, indent=1)

    @classmethod
    def shipped(cls, name: str) -> Taxonomy:
        """A taxonomy that comes with this package; `shipped_taxonomies()` lists them."""
        allowed = shipped_taxonomies()
        if name not in allowed:
            raise TaxonomyError(
                f"no taxonomy {name!r} ships; there are {', '.join(allowed)}{did_you_mean(name, allowed)}"
            )
        with resources.as_file(resources.files("core.data") / f"{name}.json") as path:
            return cls.from_json(path)


def shipped_taxonomies() -> tuple[str, ...]:
    """Names of the taxonomies that come with this package."""
    files = resources.files("core.data").iterdir()
    return tuple(sorted(f.name.removesuffix(".json") for f in files if f.name.endswith(".json")))


def _check_texts(what: str, texts: Sequence[str]) -> None:
    """Refuses what fingerprints and files could not hold: no text, or a lone surrogate."""
    try:
        "".join(texts).encode()
    except (TypeError, UnicodeEncodeError):
        wrong = next(t for t in texts if not isinstance(t, str) or not _is_utf8(t))
        raise TaxonomyError(f"{what} must be a text that UTF-8 can hold: {wrong!r}") from None


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _frozen(values: IntArray) -> IntArray:
    values.setflags(write=False)
    return values
