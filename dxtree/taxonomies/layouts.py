"""How is a tree laid out in a table? Told by the names of its columns, never by the cells.

==========  ==========================================================================================
counts      one column a level, coarse to fine, ``images`` last (Fitzpatrick17k's and DermNet's counts)
path        ``path``, the names joined by ``:`` (the ISIC hierarchy)
levels      ``diagnosis_1``, ``diagnosis_2`` ...: the same stem, counted from 1 (the ISIC archive's metadata)
nodes       ``id`` or ``code``, a ``parent`` or ``parent_id``, and ``name``, ``label`` or ``description``
            (ICD-10-CM, the edges of the Disease Ontology)
edges       ``parent`` and ``child``, each its own name
==========  ==========================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from core.errors import TaxonomyError
from core.taxonomy import ROOT, SEPARATOR
from dxtree.taxonomies.draft import Draft, Entry
from dxtree.taxonomies.table import Table, read_table

IDS, NAMES, PARENTS = ("id", "code"), ("name", "label", "description"), ("parent_id", "parent")
SYNONYMS = "synonyms"
"""Column of further names, separated by ``|``."""

_STEM = re.compile(r"(.*?)[_ ]?([1-9]\d?)")
_MOST_DIGITS = 18  # of a count whose sum surely fits 64 bits


def read_csv(path: Path) -> Draft:
    """What a table states. Raises what `read_table` raises, and `TaxonomyError` for columns of no layout."""
    table, ragged = read_table(path)
    draft = Draft(path.stem, "")
    for number, text in ragged:
        draft.fault("ragged", text, number)
    for layout, read in _LAYOUTS.items():
        draft.layout = layout
        if read(table, draft):
            return draft
    raise TaxonomyError(
        f"{path.name}: columns {', '.join(table.header)} are of no layout that is known; there are: level "
        "columns and a last column images; path; diagnosis_1, diagnosis_2 ...; id or code with parent or "
        "parent_id; parent and child"
    )


def _counts(table: Table, draft: Draft) -> bool:
    if len(table.header) < 2 or table.header[-1] != "images":
        return False
    images: dict[str, int] = {}
    seen: set[str] = set()
    for number, cells in table.lines:
        node = _add_path(draft, cells[:-1], number, seen)
        if not cells[-1].isdecimal() or len(cells[-1]) > _MOST_DIGITS:
            draft.fault("count", f"images is {cells[-1][:40]!r}; a whole number >= 0 is needed", number)
        elif node is not None:
            images[node] = images.get(node, 0) + int(cells[-1])
    draft.images = images
    return True


def _paths(table: Table, draft: Draft) -> bool:
    if "path" not in table.header:
        return False
    seen: set[str] = set()
    rows: dict[str, int] = {}
    at = [table.header.index(c) for c in ("path", "parent", "leaf") if c in table.header]
    kinds = [table.header[k] for k in at]
    for number, cells in table.rows(*at):
        row = dict(zip(kinds, cells, strict=True))
        node = _add_path(draft, row["path"].split(SEPARATOR), number, seen)
        if node is None:
            continue
        if node in rows:
            draft.fault("twice", f"{node!r} stands in lines {rows[node]} and {number}", number)
        rows[node] = number
        if "parent" in row and row["parent"] != node.rpartition(SEPARATOR)[0]:
            draft.fault("parent", f"the parent of {node!r} is said to be {row['parent']!r}", number)
        _claim_leaf(draft, node, row.get("leaf", ""), number)
    absent = [e.id for e in draft.entries if e.id not in rows and e.id != ROOT]
    if absent:
        draft.notes.append(f"{len(absent)} nodes have no line of their own, such as {absent[0]!r}")
    return True


def _levels(table: Table, draft: Draft) -> bool:
    stems: dict[str, list[int]] = {}
    for k, name in enumerate(table.header):
        if (found := _STEM.fullmatch(name)) and int(found[2]) == len(stems.setdefault(found[1], [])) + 1:
            stems[found[1]].append(k)
    columns = max(stems.values(), key=len, default=[])
    if len(columns) < 2:
        return False
    used = [table.header[k] for k in columns]
    others = [name for name in table.header if name not in used]
    draft.notes.append(
        f"levels are {', '.join(used)}" + (f"; not read: {', '.join(others)}" if others else "")
    )
    seen: set[str] = set()
    for number, cells in table.rows(*columns):
        _add_path(draft, cells, number, seen)
    return True


def _nodes(table: Table, draft: Draft) -> bool:
    place = {name: k for k, name in enumerate(table.header)}
    node, parent = (next((c for c in names if c in place), None) for names in (IDS, PARENTS))
    if node is None or parent is None:
        return False
    name = next((c for c in NAMES if c in place), node)
    beside = "parent" if parent == "parent_id" and "parent" in place else None
    for number, cells in table.lines:
        row_id, up = cells[place[node]], cells[place[parent]] or None
        if not row_id:
            draft.fault("empty", f"{node} is empty", number)
            continue
        further = cells[place[SYNONYMS]].split("|") if SYNONYMS in place else []
        synonyms = tuple(s for text in further if (s := text.strip()))
        draft.entries.append(Entry(row_id, cells[place[name]] or row_id, up, number, synonyms))
        if beside and up:
            draft.parent_names.setdefault(up, cells[place[beside]] or up)
        if "leaf" in place:
            _claim_leaf(draft, row_id, cells[place["leaf"]], number)
    return True


def _edges(table: Table, draft: Draft) -> bool:
    if not {"parent", "child"} <= set(table.header):
        return False
    for number, (up, child) in table.rows(table.header.index("parent"), table.header.index("child")):
        if not child:
            draft.fault("empty", "child is empty", number)
            continue
        draft.entries.append(Entry(child, child, up or None, number))
        if up:
            draft.parent_names.setdefault(up, up)
    return True


_LAYOUTS: dict[str, Callable[[Table, Draft], bool]] = {
    "counts": _counts,
    "path": _paths,
    "levels": _levels,
    "nodes": _nodes,
    "edges": _edges,
}


def _add_path(draft: Draft, parts: list[str], number: int, seen: set[str]) -> str | None:
    """The node that a path ends in, with every node above it; `None` where it is none, or the root."""
    if not seen:
        seen.add(ROOT)
        draft.entries.append(Entry(ROOT, ROOT, None, 1))
    while parts and not parts[-1]:
        parts.pop()
    wrong = "a level is empty although a finer one is filled" if not all(parts) else ""
    if parts and parts[0] == ROOT:
        wrong = f"{ROOT!r} is the node above the first level and needs no line"
    if culprit := next((p for p in parts if SEPARATOR in p), ""):
        wrong = f"the name {culprit!r} holds {SEPARATOR!r}, which joins names"
    if wrong:
        draft.fault("path", wrong, number)
        return None
    above, entries = ROOT, draft.entries
    for part in parts:
        here = part if above == ROOT else above + SEPARATOR + part
        if here not in seen:
            seen.add(here)
            entries.append(Entry(here, part, above, number))
        above = here
    return above


def _claim_leaf(draft: Draft, node: str, said: str, number: int) -> None:
    if said.lower() in ("true", "false"):
        draft.leaves.append((node, said.lower() == "true", number))
