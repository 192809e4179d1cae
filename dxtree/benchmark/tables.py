"""How does a benchmark read in a terminal of 100 columns?"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.diagnosis import RESEARCH_USE
from dxtree.benchmark.judging import STAR, TABLE
from dxtree.benchmark.leaderboard import Leaderboard, changes
from dxtree.benchmark.results import Benchmark, CohortResults
from dxtree.evaluation.metrics import Metric
from dxtree.evaluation.report import formatted, signed

MARKS = {"better": "▲", "worse": "▼", "no difference": "=", "undefined": " "}
_STYLES = {"better": "green", "worse": "red"}
LEGEND = (
    "▲ better, ▼ worse: the interval excludes 0; = none that these lesions show. * holds after Holm's "
    "correction over the table."
)
NAME = 24
"""Least width of the column of arms."""


def print_benchmark(
    benchmark: Benchmark, earlier: Sequence[Leaderboard] = (), console: Console | None = None
) -> None:
    """Prints each cohort's headline: values, paired differences, warnings, and what was left out."""
    out = console or Console()
    for cohort in benchmark.cohorts:
        out.print(
            f"\n[bold]{escape(benchmark.config.name)}[/bold]: {cohort.cohort}, {cohort.n:,} lesions that "
            f"every arm answers for, of {cohort.n_lesions:,}"
        )
        out.print(values_table(cohort, benchmark.metrics))
        for against in cohort.references():
            out.print(differences_table(cohort, benchmark.metrics, against))
        for warning in cohort.warnings:
            out.print(Text(f"warning: {warning}", style="yellow"))
        for reason, count in cohort.left_out.items():
            out.print(f"left out, {count:,} lesions: {reason}", markup=False)
        for arm in cohort.empty:
            out.print(f"no lesion has an answer by {arm}", markup=False)
        if earlier:
            out.print(changes_table(cohort, benchmark, earlier))
    out.print(
        f"\n{LEGEND} Intervals are 95 % BCa from {benchmark.config.resamples:,} resamples of whole lesions. "
        f"{RESEARCH_USE}",
        markup=False,
    )


def values_table(cohort: CohortResults, metrics: Sequence[Metric]) -> Table:
    """One row an arm on the headline's classes."""
    level = cohort.level(cohort.headline)
    table = _table(f"{level.name}: {level.n:,} lesions, {level.present} of {level.classes} classes present")
    shown = _metrics(metrics)
    table.add_column("arm", min_width=NAME)
    for metric in shown:
        table.add_column(metric.title, justify="right", no_wrap=True)
    for arm in cohort.main:
        cells = level.cells[arm]
        table.add_row(Text(arm), *(Text(formatted(cells[m.name])) for m in shown))
    return table


def differences_table(cohort: CohortResults, metrics: Sequence[Metric], against: str) -> Table:
    """One row an arm: its differences to a reference; macro F1 has no room here and is on the page."""
    table = _table(f"{cohort.headline}, paired: minus {against}")
    shown = [m for m in _metrics(metrics) if m.name != "macro_f1"]
    table.add_column("arm", min_width=NAME)
    for metric in shown:
        table.add_column(metric.title, justify="right", no_wrap=True)
    for arm in cohort.main:
        found = [cohort.comparison(cohort.headline, m.name, arm, against) for m in shown]
        if any(found):
            cells = [
                Text(
                    f"{MARKS[c.verdict]}{star(c.p_holm)} {signed(c.found)}", style=_STYLES.get(c.verdict, "")
                )
                if c
                else Text("")
                for c in found
            ]
            table.add_row(Text(arm), *cells)
    return table


def changes_table(cohort: CohortResults, benchmark: Benchmark, earlier: Sequence[Leaderboard]) -> Table:
    """One row an arm of both runs: before, now and the difference of the headline's metrics."""
    now = cohort.leaderboard(benchmark.config.name, benchmark.provenance)
    table = _table(f"{cohort.headline}: this run beside the earlier one, on the same lesions")
    for title in ("arm", "metric"):
        table.add_column(title)
    for title in ("before", "now", "change"):
        table.add_column(title, justify="right")
    for one in changes(now, earlier):
        if one.label_set == cohort.headline and one.metric in TABLE and None not in (one.before, one.now):
            before, after = float(one.before or 0), float(one.now or 0)
            table.add_row(
                Text(one.arm), one.metric, f"{before:.3f}", f"{after:.3f}", f"{after - before:+.3f}"
            )
    return table


def star(p_holm: float | None) -> str:
    """A star where the difference holds after the correction."""
    return "*" if p_holm is not None and p_holm < STAR else ""


def _metrics(metrics: Sequence[Metric]) -> list[Metric]:
    return [m for m in metrics if m.name in TABLE]


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="underline",
    )
