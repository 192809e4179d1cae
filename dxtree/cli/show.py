"""How does an answer look on a terminal?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from core.contributions import Contributions
from core.diagnosis import RESEARCH_USE, Diagnosis
from core.probabilities import TreeProbabilities

LEAST = 0.02
"""Branches below this probability are not printed."""

BAR = 12


def show_diagnosis(
    answer: Diagnosis, *, truth: str | None = None, contributions: Sequence[Contributions] | None = None
) -> None:
    """Prints the tree, what was used and missing, and the notices; `truth` marks the node that is right.

    `contributions` follow as tables, and where they were asked for and there are none a line says so.
    """
    for line in _lines(answer, truth, contributions):
        # Styles go only to a terminal, and (https://no-color.org) not where they are not wanted.
        typer.echo(line, color=False if os.environ.get("NO_COLOR") else None)


def _lines(
    answer: Diagnosis, truth: str | None, contributions: Sequence[Contributions] | None
) -> Iterator[str]:
    if answer.tree is None:
        yield _styled("no answer", bold=True)
    else:
        yield from _tree(answer.tree, truth)
        yield _styled(f"branches below {LEAST:.0%} are not shown; --json has every node", dim=True)
    rows = [
        ("status", answer.status),
        ("fused by", answer.fuser),
        ("used", ", ".join(answer.used) or "nothing"),
        ("missing", ", ".join(answer.missing) or "nothing"),
        ("models", str(answer.provenance.get("model_set", "given by the caller"))),
    ]
    for key, value in rows:
        yield f"{_styled(f'{key:<9}', bold=True)} {value}"
    for notice in answer.notices:
        yield f"{_styled('notice   ', bold=True, fg='yellow')} {notice.text}"
    if contributions is not None and not contributions:
        yield f"{_styled('explain  ', bold=True)} nothing: no image could be judged"
    for one in contributions or ():
        yield from ("", *one.lines())
    if contributions:
        yield ""
    yield _styled(RESEARCH_USE, italic=True)


def _tree(found: TreeProbabilities, truth: str | None) -> Iterator[str]:
    taxonomy = found.sums.partition.taxonomy
    path = set(taxonomy.path(truth)) if truth else set()
    answer = found.most_specific()
    yield _styled("diagnosis", bold=True)
    waiting = [("", "", taxonomy.root)]
    while waiting:
        before, beside, node = waiting.pop()
        if node != taxonomy.root:
            yield before + _line(found[node], taxonomy.label(node), node, answer, path)
        below = [c for c in taxonomy.children(node) if c in found and (found[c] >= LEAST or c in path)]
        below.sort(key=lambda c: found[c])  # the likeliest is taken from the end
        for k, child in enumerate(below):
            bend, under = ("└── ", "    ") if not k else ("├── ", "│   ")
            waiting.append((beside + bend, beside + under, child))


def _line(p: float, label: str, node: str, answer: str, path: set[str]) -> str:
    filled = round(p * BAR)
    bold = node == answer
    text = _styled("█" * filled, fg="cyan") + _styled("░" * (BAR - filled), dim=True)
    text += _styled(f" {p:6.1%} ", bold=bold) + _styled(label, bold=bold)
    if node == answer:
        text += _styled("  ◀ most specific at 50 %", fg="cyan")
    if node in path:
        text += _styled("  ✔ truth", fg="green")
    return text


def _styled(text: str, **style: Any) -> str:
    return typer.style(text, **style) if text and any(style.values()) else text
