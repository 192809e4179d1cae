"""What does a file say of a tree, before anybody knows whether it is one?"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: `rule` is a stable name for programs, `lines` are places from 1."""

    rule: str
    text: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One statement of a file: this node exists and lies under that one; `parent` is `None` at the top."""

    id: str
    name: str
    parent: str | None
    line: int
    synonyms: tuple[str, ...] = ()


@dataclass
class Draft:
    """Everything that a file states, right or wrong.

    `unit` is what `Entry.line` counts: lines of a CSV, nodes of a JSON file. `parent_names` names parents
    that the file mentions beside a child; such a parent needs no entry of its own. `leaves` are the
    file's claims that a node is a leaf, with their lines. `images` counts by node, where the file counts.
    With `one_root` several nodes without a parent are a fault; otherwise a root is put above them.
    """

    name: str
    layout: str
    unit: str = "line"
    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    parent_names: dict[str, str] = field(default_factory=dict)
    leaves: list[tuple[str, bool, int]] = field(default_factory=list)
    images: dict[str, int] | None = None
    one_root: bool = False

    def fault(self, rule: str, text: str, *lines: int) -> None:
        """Notes one more thing that is wrong."""
        self.faults.append(Fault(rule, text, lines))
