"""Which node of a tree does a data set's own label mean?"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources

from core.errors import CohortError, did_you_mean
from core.taxonomy import Taxonomy

ISIC = "isic_diagnosis"
"""The tree whose nodes serve for any tree that has no table of its own."""

Nodes = Mapping[str, str | None]
"""Label to node; `None` where no node of the tree means as much as the label and no more."""


@dataclass(frozen=True)
class Labels:
    """A set's own labels and the nodes that they mean, by the name of the tree.

    A `closed` vocabulary is complete: a label outside it is a fault of the table. An open one is known in
    part, and a label outside it counts as unmapped. With `any_case` the tables hold lower case, and labels
    are looked up so.
    """

    tables: Mapping[str, Nodes]
    closed: bool = True
    any_case: bool = False

    def node(self, label: str, taxonomy: Taxonomy, where: str) -> str | None:
        """The node, or `None` without one.

        Raises `CohortError` for a label outside a closed vocabulary, and for a tree without a table.
        """
        nodes = self.tables.get(taxonomy.name, self.tables.get(ISIC))
        if nodes is None:
            known = ", ".join(sorted(self.tables))
            raise CohortError(
                f"{where} has no meaning in taxonomy {taxonomy.name!r}; read this set with {known}"
            )
        key = label.lower() if self.any_case else label
        if key and key not in nodes and self.closed:
            near = did_you_mean(label, nodes)
            raise CohortError(
                f"{where} is none of the {len(nodes)} labels of this set; correct the table{near}"
            )
        node = nodes.get(key)
        return node if node in taxonomy else None


def shipped_nodes(name: str) -> dict[str, str | None]:
    """The table `label,node` that ships as `data/<name>.csv`; an empty node is `None`."""
    text = resources.files("dxtree.cohorts").joinpath("data", f"{name}.csv").read_text("utf-8")
    return {row["label"]: row["node"] or None for row in csv.DictReader(text.splitlines())}


def common_node(nodes: Iterable[str], taxonomy: Taxonomy) -> str | None:
    """The deepest node at or above all of these; `None` for none, and where only the root is above all.

    Raises `UnknownNode` for a node outside the tree.
    """
    paths = [taxonomy.path(node) for node in nodes]
    shared: str | None = None
    for level in zip(*paths, strict=False):
        if len(set(level)) > 1:
            break
        shared = level[0]
    return shared if shared != taxonomy.root else None
