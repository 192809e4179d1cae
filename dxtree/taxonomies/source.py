"""Where does a tree come from? A plugin that offers it by name, or a file in one of the known layouts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import TaxonomyError
from core.taxonomy import Taxonomy
from dxtree.taxonomies.checking import check
from dxtree.taxonomies.choice import Choice, DroppedEdge
from dxtree.taxonomies.draft import Fault
from dxtree.taxonomies.json_tree import read_json
from dxtree.taxonomies.layouts import read_csv
from plugins.registry import Registry

SUFFIXES = (".csv", ".json")


@dataclass(frozen=True)
class Tree:
    """A tree with what a `Taxonomy` does not hold. `synonyms` and `images` are by node id; `images` is `None`
    where nothing was counted, `dropped` what was left out of the file to make a tree of it.
    """

    taxonomy: Taxonomy
    layout: str = "offered"
    notes: tuple[str, ...] = ()
    dropped: tuple[DroppedEdge, ...] = ()
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    images: Mapping[str, int] | None = None

    def remarks(self) -> list[str]:
        """One line for everything that was done to the file."""
        edges = (f"dropped: {e.node} under {e.parent or 'nothing'} (line {e.line})" for e in self.dropped)
        return [*self.notes, *edges]


@dataclass(frozen=True)
class Judged:
    """A file that was read: its tree, or every fault. `unit` is what their lines count."""

    tree: Tree | None
    faults: tuple[Fault, ...]
    unit: str = "line"


def judge(
    source: str, registry: Registry, parents: Sequence[str] = (), *, add_absent: bool = False
) -> Judged:
    """Reads a tree by name or path and finds everything that is wrong with it.

    Raises `TaxonomyError` where it cannot even be read so far, `PathRejected` for a file that cannot be
    opened and `PluginError` for a name that nobody offers.
    """
    choice = Choice.of(parents, add_absent=add_absent)
    if not is_file(source):
        if parents:
            raise TaxonomyError(f"--parents is for files; the offered tree {source!r} has one parent a node")
        return Judged(Tree(registry.taxonomies.get(source).load()), ())
    path = Path(source)
    draft = read_json(path) if path.suffix.lower() == ".json" else read_csv(path)
    settled = check(draft, choice)
    if settled.faults:
        return Judged(None, tuple(settled.faults), draft.unit)
    entries = settled.entries
    parent_of = {node: e.parent for node, e in entries.items()}
    taxonomy = Taxonomy(draft.name, parent_of, {node: e.name for node, e in entries.items()})
    return Judged(
        Tree(
            taxonomy,
            draft.layout,
            tuple(draft.notes),
            tuple(settled.dropped),
            {node: e.synonyms for node, e in entries.items() if e.synonyms},
            draft.images,
        ),
        (),
        draft.unit,
    )


def open_tree(
    source: str, registry: Registry, parents: Sequence[str] = (), *, add_absent: bool = False
) -> Tree:
    """The tree by name or path. Raises `TaxonomyError` with the first fault and how many there are."""
    judged = judge(source, registry, parents, add_absent=add_absent)
    if judged.tree is not None:
        return judged.tree
    first, name = judged.faults[0], Path(source).name
    where = f"{name}, {judged.unit} {first.lines[0]}" if first.lines else name
    more = len(judged.faults) - 1
    told = f"; {more} more: dxtree taxonomy validate {name}" if more else ""
    raise TaxonomyError(f"{where}: {first.text}{told}")


def is_file(source: str) -> bool:
    """Whether a source is meant as a file: by its suffix, or because one is there."""
    return source.lower().endswith(SUFFIXES) or Path(source).is_file()
