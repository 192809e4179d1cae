"""What does a model card hold? Blocks that a template shows as text, with no HTML of the file's own."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Literal

Kind = Literal["heading", "text", "code", "table"]


@dataclass(frozen=True)
class Block:
    """A part of a card. `spans` are texts and whether each is strong; `rows` the cells of a table."""

    kind: Kind
    text: str = ""
    level: int = 0
    rows: tuple[tuple[str, ...], ...] = ()

    @property
    def spans(self) -> list[tuple[str, bool]]:
        """The text, taken apart at its pairs of `**`."""
        parts = self.text.split("**")
        return [(part, bool(k % 2)) for k, part in enumerate(parts) if part]


def blocks(card: str) -> list[Block]:
    """Headings, tables, indented lines and paragraphs of a Markdown file; anything else stays plain text."""
    found: list[Block] = []
    for kind, group in groupby(card.splitlines(), key=_kind):
        lines = list(group)
        if kind == "heading":
            levels = [len(line) - len(line.lstrip("#")) for line in lines]
            found += [Block("heading", t.lstrip("# "), n) for t, n in zip(lines, levels, strict=True)]
        elif kind == "code":
            found.append(Block("code", "\n".join(line[4:] for line in lines)))
        elif kind == "table":
            found.append(Block("table", rows=tuple(_cells(line) for line in lines if not _is_rule(line))))
        elif kind == "text":
            found.append(Block("text", " ".join(lines)))
    return found


def _kind(line: str) -> Kind | None:
    if not line.strip():
        return None
    if line.startswith("#"):
        return "heading"
    if line.startswith("    "):
        return "code"
    return "table" if line.startswith("|") else "text"


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip().replace("**", "") for cell in line.strip().strip("|").split("|"))


def _is_rule(line: str) -> bool:
    return not line.strip("|-: \t")
