"""What keeps a draft from being a tree? Everything that is wrong, at once, in the order of the file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from core.errors import did_you_mean
from core.taxonomy import ROOT
from dxtree.taxonomies.choice import Choice, Settled, settle
from dxtree.taxonomies.draft import Draft, Entry, Fault

_NEAR = 20_000  # nodes up to which an unknown parent is compared with every id
_MOST_NEAR = 20  # and faults that are worth it


def check(draft: Draft, choice: Choice) -> Settled:
    """The nodes with one parent each, the dropped edges, and every fault; without any it is a tree.

    Parents that the file names beside a child become nodes of the first level; several nodes without a parent
    get a root above them unless the file must state one. Both are noted in the draft.
    """
    settled = settle(draft, choice)
    entries = settled.entries
    if choice.add_absent:
        ups = (e.parent for e in entries.values() if e.parent is not None)
        draft.parent_names = {up: up for up in ups if up not in entries} | draft.parent_names
    _add_named_parents(draft, entries)
    faults = [*draft.faults, *settled.faults, *_texts(entries), *_parents(entries)]
    faults += _cycles(entries)
    faults += _roots(draft, entries)
    faults += _leaves(draft, entries)
    settled.faults = sorted(faults, key=lambda f: (f.lines or (0,), f.rule))
    return settled


def _add_named_parents(draft: Draft, entries: dict[str, Entry]) -> None:
    absent = {up: name for up, name in draft.parent_names.items() if up not in entries}
    for up, name in absent.items():
        entries[up] = Entry(up, name, None, 0)
    if absent:
        named = ", ".join(f"{up} ({name})" if up != name else up for up, name in list(absent.items())[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        draft.notes.append(f"named as parents only, so that nothing is known above them: {named}{more}")


def _texts(entries: dict[str, Entry]) -> Iterator[Fault]:
    for entry in entries.values():
        for text in (entry.id, entry.name, *entry.synonyms):
            if not text.isprintable() and any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
                shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
                yield Fault("text", f"{shown!r} holds a control character or half a character", (entry.line,))
                break


def _parents(entries: dict[str, Entry]) -> Iterator[Fault]:
    compared = 0
    for entry in entries.values():
        if entry.parent is not None and entry.parent not in entries:
            compared += 1
            near = compared <= _MOST_NEAR and len(entries) <= _NEAR
            hint = did_you_mean(entry.parent, entries) if near else ""
            text = f"{entry.id!r} names the parent {entry.parent!r}, which is not in the file{hint}"
            yield Fault("parent", f"{text}; add it, or --add-parents", (entry.line,))


def _cycles(entries: dict[str, Entry]) -> Iterator[Fault]:
    """One fault a cycle; what hangs below it is not listed again."""
    done: set[str] = set()
    for start in entries:
        way: dict[str, None] = {}
        here: str | None = start
        while here is not None and here in entries and here not in done and here not in way:
            way[here] = None
            here = entries[here].parent
        if here is not None and here in way:
            ring = list(way)[list(way).index(here) :]
            shown = " under ".join(repr(n) for n in (*ring[:6], *(["..."] if len(ring) > 6 else []), ring[0]))
            alone = f"{here!r} lies under itself; give it a parent with --parents {here}=PARENT"
            text = alone if len(ring) == 1 else f"a cycle: {shown}"
            yield Fault("cycle", text, tuple(sorted(entries[n].line for n in ring)))
        done.update(way)


def _roots(draft: Draft, entries: dict[str, Entry]) -> Iterator[Fault]:
    tops = [entry for entry in entries.values() if entry.parent is None]
    if not tops:
        yield Fault(
            "root", "no node without a parent, so there is no root" if entries else "there is no node"
        )
    elif len(tops) > 1 and draft.one_root:
        text = f"{len(tops)} roots, {tops[0].id!r} and {tops[1].id!r} among them; a tree has one"
        yield Fault("root", text, tuple(e.line for e in tops))
    elif len(tops) > 1 and ROOT in entries:
        yield Fault(
            "root", f"{len(tops)} nodes have no parent, and {ROOT!r}, which would go above them, is there"
        )
    elif len(tops) > 1:
        draft.notes.append(f"{len(tops)} nodes have no parent; {ROOT!r} was put above them")
        for top in tops:
            entries[top.id] = Entry(top.id, top.name, ROOT, top.line, top.synonyms)
        entries[ROOT] = Entry(ROOT, ROOT, None, 0)


def _leaves(draft: Draft, entries: dict[str, Entry]) -> Iterator[Fault]:
    above = {entry.parent for entry in entries.values()}
    for node, claimed, line in draft.leaves:
        if node in entries and claimed == (node in above):
            said, there = ("a", "some") if claimed else ("no", "no")
            text = f"{node!r} is said to be {said} leaf, and {there} node lies below it"
            yield Fault("leaf", text, (line,))
