"""How does the result of a task read in a terminal of 100 columns?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.diagnosis import RESEARCH_USE
from dxtree.binary.operating import OperatingPoint
from dxtree.binary.readers import OTHER_IMAGES
from dxtree.binary.result import TaskResult
from dxtree.binary.scores import SCORE_TITLES
from dxtree.evaluation import Interval
from dxtree.evaluation.report import formatted, short


def print_result(result: TaskResult, console: Console | None = None) -> None:
    """Prints n, the AUC of each score, its operating points, the readers, and what was left out."""
    out = console or Console()
    first = next(iter(result.curves.values()))
    out.print(Text(result.task.title, style="bold"))
    out.print(
        f"{result.n} lesions: {first.positives} positive, {first.negatives} negative. Left out: "
        f"{result.elsewhere} of another diagnosis, {result.above} with a label above the two sets, "
        f"{result.unanswered} without an answer.",
        markup=False,
    )
    for name, curve in result.curves.items():
        out.print(_points(f"{SCORE_TITLES[name]}: AUC {formatted(curve.auc)}", result.points[name]))
    if any(p.chosen_on == "these lesions" for found in result.points.values() for p in found):
        out.print("Thresholds were chosen on these very lesions, so the points are optimistic.", markup=False)
    for line in _readers(result):
        out.print(line, markup=False)
    for node in result.untrained:
        out.print(f"never trained, so without any probability: {node}", markup=False)
    if result.undecided:
        out.print(
            f"{result.undecided} lesions have no probability in either set; given both, they count .5",
            markup=False,
        )
    out.print(
        f"Intervals are 95 %, from {result.resamples} resamples of whole lesions (seed {result.seed}). "
        f"{RESEARCH_USE}",
        markup=False,
    )


def _points(title: str, points: Sequence[OperatingPoint]) -> Table:
    table = Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="underline",
    )
    for column in ("asked for", "threshold", "sensitivity", "specificity"):
        table.add_column(column, justify="left" if column == "asked for" else "right")
    for point in points:
        threshold = "never" if point.threshold == float("inf") else f"{point.threshold:.3g}"
        shares = [_number(point.sensitivity), _number(point.specificity)]
        table.add_row(*map(Text, [f"{point.aim} {short(point.asked)}", threshold, *shares]))
    return table


def _readers(result: TaskResult) -> Iterator[str]:
    """One line for each mean of readers; single readers are counted, and stand in the JSON."""
    compared = list(zip(*result.readers.values(), strict=True))
    for same in (row for row in compared if row[0].reader.is_mean):
        point = same[0].reader
        there = ", ".join(
            f"{SCORE_TITLES[name]} {short(c.specificity)}"
            for name, c in zip(result.readers, same, strict=True)
        )
        remark = "" if point.same_images else f" But {OTHER_IMAGES}."
        yield (
            f"Mean of readers: sensitivity {short(point.sensitivity)}, specificity "
            f"{short(point.specificity)}. The curves' specificity at that sensitivity: {there}.{remark} "
            f"Source: {point.source}."
        )
    if single := sum(not row[0].reader.is_mean for row in compared):
        yield f"{single} single readers stand in the JSON and in the figure."


def _number(found: Interval) -> str:
    """Three places for a share that was aimed at, so that it is seen to hold."""
    if found.value is not None and found.low is None:
        return f"{found.value:.3f}".removeprefix("0")
    return formatted(found)
