"""How does an answer look on a terminal?"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

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
    console = Console(highlight=False)
    if answer.tree is None:
        console.print(Text("no answer", style="bold"))
    else:
        console.print(_tree(answer.tree, truth))
        hidden = f"branches below {LEAST:.0%} are not shown; --json has every node"
        console.print(Text(hidden, style="dim"))
    rows = [
        ("status", answer.status),
        ("fused by", answer.fuser),
        ("used", ", ".join(answer.used) or "nothing"),
        ("missing", ", ".join(answer.missing) or "nothing"),
        ("models", str(answer.provenance.get("model_set", "given by the caller"))),
    ]
    for key, value in rows:
        console.print(Text(f"{key:<9}", style="bold"), Text(value))
    for notice in answer.notices:
        console.print(Text("notice   ", style="bold yellow"), Text(notice.text))
    if contributions is not None and not contributions:
        console.print(Text("explain  ", style="bold"), Text("nothing: no image could be judged"))
    for one in contributions or ():
        console.print(Text("\n".join(["", *one.lines()])), soft_wrap=True)
    console.print(Text(f"\n{RESEARCH_USE}" if contributions else RESEARCH_USE, style="italic"))


def _tree(found: TreeProbabilities, truth: str | None) -> Tree:
    taxonomy = found.sums.partition.taxonomy
    path = set(taxonomy.path(truth)) if truth else set()
    answer = found.most_specific()
    top = Tree(Text("diagnosis", style="bold"))
    waiting = [(top, taxonomy.root)]
    while waiting:
        branch, node = waiting.pop()
        below = [c for c in taxonomy.children(node) if c in found and (found[c] >= LEAST or c in path)]
        ranked = sorted(below, key=lambda c: -found[c])
        lines = ((_line(found[c], taxonomy.label(c), c, answer, path), c) for c in ranked)
        waiting += [(branch.add(line), c) for line, c in lines]
    return top


def _line(p: float, label: str, node: str, answer: str, path: set[str]) -> Text:
    filled = round(p * BAR)
    text = Text()
    text.append("█" * filled, style="cyan").append("░" * (BAR - filled), style="dim")
    text.append(f" {p:6.1%} ", style="bold" if node == answer else "")
    text.append(label, style="bold" if node == answer else "")
    if node == answer:
        text.append("  ◀ most specific at 50 %", style="cyan")
    if node in path:
        text.append("  ✔ truth", style="green")
    return text
