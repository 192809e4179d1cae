"""Which parent does a term keep that has two? A tree needs one; see docs/decisions/0028."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.errors import TaxonomyError
from dxtree.taxonomies.draft import Draft, Entry, Fault

FIRST = "first"


@dataclass(frozen=True)
class Choice:
    """What the user decided: the first parent that stands in the file everywhere, or a parent by node.

    With `add_absent` a parent that the file names and does not hold becomes a node of the first level.
    """

    first: bool = False
    by_node: dict[str, str] = field(default_factory=dict)
    add_absent: bool = False

    @classmethod
    def of(cls, texts: Sequence[str], *, add_absent: bool = False) -> Choice:
        """``first`` and ``NODE=PARENT``, by id. Raises `TaxonomyError` for another text or two for a node."""
        chosen: dict[str, str] = {}
        for text in texts:
            node, separator, parent = text.partition("=")
            if text == FIRST:
                continue
            if not separator or not node or not parent:
                raise TaxonomyError(f"--parents takes {FIRST} or NODE=PARENT, not {text!r}")
            if chosen.setdefault(node, parent) != parent:
                raise TaxonomyError(f"--parents names two parents for {node!r}")
        return cls(FIRST in texts, chosen, add_absent)


@dataclass(frozen=True)
class DroppedEdge:
    """An edge of the file that the tree does not have. `line` is its place in the file."""

    node: str
    parent: str
    line: int


@dataclass
class Settled:
    """One entry a node, the edges that were dropped for it, and what is wrong."""

    entries: dict[str, Entry]
    dropped: list[DroppedEdge]
    faults: list[Fault]


def settle(draft: Draft, choice: Choice) -> Settled:
    """Chooses a parent where the choice says how. A node with two parents and no choice is a fault."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for entry in draft.entries:
        groups[entry.id].append(entry)
    settled = Settled({}, [], [])
    for node, group in groups.items():
        settled.entries[node] = group[0]
        if len(group) > 1:
            _settle_one(node, group, choice, settled)
    for node, parent in choice.by_node.items():
        if len({e.parent for e in groups.get(node, ())}) < 2:
            _settle_alone(draft, node, parent, settled)
    return settled


def _settle_alone(draft: Draft, node: str, parent: str, settled: Settled) -> None:
    """A parent for a node that lies under itself or under what the file does not hold."""
    entry = settled.entries.get(node)
    held = entry is not None and (entry.parent in settled.entries or entry.parent in draft.parent_names)
    if entry is None or entry.parent is None or (held and entry.parent != node):
        told = "is no node of the file" if entry is None else "has one parent, which is in the file"
        settled.faults.append(Fault("choice", f"--parents names {node!r}, which {told}"))
        return
    settled.dropped.append(DroppedEdge(node, entry.parent, entry.line))
    settled.entries[node] = replace(entry, parent=parent)


def _settle_one(node: str, group: list[Entry], choice: Choice, settled: Settled) -> None:
    by_parent: dict[str | None, Entry] = {}
    for entry in group:
        if entry.parent in by_parent:
            text = f"{node!r} stands twice under one parent"
            settled.faults.append(Fault("twice", text, (by_parent[entry.parent].line, entry.line)))
        by_parent.setdefault(entry.parent, entry)
    lines = tuple(e.line for e in by_parent.values())
    if len(names := sorted({e.name for e in group})) > 1:
        text = f"{node!r} has two names, {names[0]!r} and {names[1]!r}"
        settled.faults.append(Fault("two names", text, tuple(e.line for e in group)))
    if len(by_parent) < 2:
        return
    kept = choice.by_node.get(node)
    if kept is None and choice.first:
        kept = next((p for p in by_parent if p not in (None, node)), None)
    if kept is not None and kept in by_parent:
        settled.entries[node] = by_parent[kept]
        dropped = (DroppedEdge(node, e.parent or "", e.line) for p, e in by_parent.items() if p != kept)
        settled.dropped.extend(dropped)
        return
    parents = [repr(p) if p else "none" for p in by_parent]
    first = next((p for p in by_parent if p not in (None, node)), "PARENT")
    said = f"; --parents names {kept!r}, which is neither" if kept is not None else ""
    text = (
        f"{node!r} ({group[0].name}) has {len(by_parent)} parents, {' and '.join(parents)}, and a tree has "
        f"one{said}; choose with --parents {node}={first}, or --parents {FIRST}"
    )
    settled.faults.append(Fault("two parents", text, lines))
