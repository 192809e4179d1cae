"""Which counterparts has a person decided on? A CSV of ``from,to``; an empty ``to`` says that there is none.

`write_mapping` writes the same table to be filled in: its column ``reviewed`` is empty, and where a table has
that column, only lines with something in it count.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from core.errors import TaxonomyError, did_you_mean
from core.spreadsheet import inert, plain
from core.taxonomy import Taxonomy
from dxtree.taxonomies.mapping import Mapped
from dxtree.taxonomies.table import read_table

COLUMNS = ("from", "name", "to", "reviewed", "status", "by", "ancestor", "candidates", "near")
_BETWEEN = " | "


def mapping_csv(mapped: Mapped) -> str:
    """The table of a mapping, a line a node. ``to`` is filled where a node is matched; ``ancestor`` is the
    counterpart of its nearest ancestor, ``candidates`` decided nothing and ``near`` are proposals.
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for c in mapped.nodes:
        matched = c.status == "matched"
        to, ancestor = (c.to or "", "") if matched else ("", c.to or "")
        cells = (
            c.node,
            c.name,
            to,
            "",
            c.status,
            c.by,
            ancestor,
            _BETWEEN.join(c.also),
            _BETWEEN.join(c.near),
        )
        writer.writerow([inert(cell) for cell in cells])
    return out.getvalue()


def read_reviewed(path: Path, source: Taxonomy, target: Taxonomy) -> dict[str, str | None]:
    """Node to node or `None`; further columns are the reviewer's own.

    Raises `TaxonomyError` with every line that is wrong: an unknown node, or two counterparts for one.
    """
    table, ragged = read_table(path)
    if not {"from", "to"} <= set(table.header):
        raise TaxonomyError(f"{path.name}: a reviewed mapping has the columns from and to")
    wrong = [f"line {number} {text}" for number, text in ragged]
    found: dict[str, str | None] = {}
    at = [table.header.index(c) for c in ("from", "to")]
    decided = table.header.index("reviewed") if "reviewed" in table.header else None
    for number, cells in table.lines:
        if decided is not None and not cells[decided]:
            continue
        node, to = (plain(cells[k]) for k in at)
        for tree, name in ((source, node), *([(target, to)] if to else [])):
            if name not in tree:
                near = did_you_mean(name, tree.ids) if len(tree) < 20_000 else ""
                wrong.append(f"line {number}: {name!r} is no node of {tree.name!r}{near}")
        if found.setdefault(node, to or None) != (to or None):
            wrong.append(f"line {number}: {node!r} has another counterpart above")
    if wrong:
        raise TaxonomyError(f"{path.name}: " + "; ".join(wrong))
    return found
