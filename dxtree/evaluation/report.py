"""How does an evaluation read in a terminal of 100 columns?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.diagnosis import RESEARCH_USE
from dxtree.evaluation.intervals import Interval
from dxtree.evaluation.labels import NAMES
from dxtree.evaluation.metrics import ALL_METRICS, METRICS, Metric
from dxtree.evaluation.results import Block, Evaluation
from dxtree.evaluation.results import Table as Blocks
from dxtree.evaluation.subgroups import SHOWN

HEADLINE = ("balanced_accuracy", "auc_malignant", "brier")
"""Metrics whose differences are printed, for the headline set alone; the JSON holds all."""

WORST = 5
"""Subgroups printed a pipeline; the JSON holds all."""

MORE = ("macro_f1", "official_f1", "macro_auc", "macro_average_precision")
"""Further metrics that are printed for the headline set; the JSON holds all of every set."""

_BY_NAME = {m.name: m for m in ALL_METRICS}
_TITLES = {m.name: m.title for m in ALL_METRICS}
_MARKS = {"better": "▲", "worse": "▼", "no difference": "=", "undefined": " "}
_STYLES = {"better": "green", "worse": "red"}


def print_evaluation(evaluation: Evaluation, console: Console | None = None) -> None:
    """Prints the tables: each label set, differences, the worst subgroups, and what was left out."""
    out = console or Console()
    out.print(
        f"{evaluation.cohort}, lesions: {evaluation.part}. {len(evaluation.predictions.lesions)} lesions, "
        f"{evaluation.n_common} of them answered by every pipeline: the tables hold these.",
        markup=False,
    )
    for name in NAMES:
        _print(out, pipelines_table(evaluation.pipelines, name))
    more = [_BY_NAME[name] for name in MORE]
    _print(out, pipelines_table(evaluation.pipelines, evaluation.headline_set, ", by class", more))
    for name in NAMES:
        _print(out, pipelines_table(evaluation.available, name, " (each on all it answers: no comparison)"))
    _print(out, *differences_tables(evaluation))
    _print(out, subgroups_table(evaluation))
    _print(out, left_out_table(evaluation))
    _print(out, failed_table(evaluation))
    out.print(
        f"\nIntervals are 95 %, from {evaluation.resamples} resamples of whole lesions (seed "
        f"{evaluation.seed}); verdicts are not corrected for how many there are. {RESEARCH_USE}",
        markup=False,
    )


def pipelines_table(
    blocks: Blocks, label_set: str, remark: str = "", metrics: Sequence[Metric] = METRICS
) -> Table | None:
    """One row a pipeline, one column a metric; `None` where no pipeline has the label set."""
    rows = {name: row[label_set] for name, row in blocks.items() if label_set in row}
    if not rows:
        return None
    sizes = sorted({b.n for b in rows.values()})
    several = len(sizes) > 1
    first = next(iter(rows.values()))
    title = f"{label_set}: {'-'.join(map(str, sizes))} lesions, {first.classes} classes"
    table = _table(f"{title}, {first.classes_present} of them present{remark}")
    table.add_column("pipeline", no_wrap=True)
    if several:
        table.add_column("n", justify="right")
    for m in metrics:
        table.add_column(m.title, justify="right")
    for name, block in rows.items():
        numbers = [formatted(block.metrics[m.name]) for m in metrics]
        table.add_row(*map(Text, [name, *([str(block.n)] if several else []), *numbers]))
    if any(m.name == "ece" for m in metrics):
        _chance(table, rows.values())
    return table


def differences_tables(evaluation: Evaluation) -> list[Table]:
    """One table a pipeline compared with, then what metadata adds, by the headline metrics."""
    chosen = [d for d in evaluation.differences if d.label_set == evaluation.headline_set]
    bases = dict.fromkeys(d.against for d in chosen if d.against not in evaluation.predictions.variants)
    tables = []
    for base in bases:
        rows = {d.pipeline: d.pipeline for d in chosen if d.against == base}
        tables.append(_differences(evaluation, f"minus {base}", rows, dict.fromkeys(rows, base)))
    variants = [d for d in chosen if d.against in evaluation.predictions.variants]
    added = {f"{d.pipeline} - {d.against.partition(':')[2]}": d for d in variants}
    if added:
        firsts = {label: d.pipeline for label, d in added.items()}
        seconds = {label: d.against for label, d in added.items()}
        tables.append(_differences(evaluation, "each fuser minus itself without", firsts, seconds))
    if tables:
        tables[
            -1
        ].caption = (
            "▲ better, ▼ worse: the interval excludes zero (of Brier, lower is better); = no difference"
        )
    return tables


def _differences(
    evaluation: Evaluation, title: str, firsts: Mapping[str, str], seconds: Mapping[str, str]
) -> Table:
    found = {
        (d.pipeline, d.against, d.metric): d
        for d in evaluation.differences
        if d.label_set == evaluation.headline_set
    }
    sizes = {found[one, seconds[label], HEADLINE[0]].n for label, one in firsts.items()}
    table = _table(f"{evaluation.headline_set}, paired on {max(sizes)} lesions: {title}")
    table.add_column("pipeline", no_wrap=True)
    for name in HEADLINE:
        table.add_column(_TITLES[name], justify="right")
    for label, first in firsts.items():
        here = [found[first, seconds[label], name] for name in HEADLINE]
        cells = [
            Text(f"{_MARKS[d.verdict]} {signed(d.found)}", style=_STYLES.get(d.verdict, "")) for d in here
        ]
        table.add_row(Text(label), *cells)
    return table


def subgroups_table(evaluation: Evaluation) -> Table | None:
    """The worst groups of each pipeline first, and how many groups are too small for a number."""
    table = _table(f"subgroups, {evaluation.headline_set}: the {WORST} worst of each pipeline, worst first")
    for title in ("pipeline", "by", "group"):
        table.add_column(title)
    table.add_column("n", justify="right")
    for name in SHOWN:
        table.add_column(_TITLES[name], justify="right")
    small: list[str] = []
    for pipeline, rows in evaluation.subgroups.items():
        for row in [r for r in rows if r.sufficient][:WORST]:
            numbers = [formatted(row.metrics[name]) for name in SHOWN]
            table.add_row(*map(Text, [pipeline, row.by, row.group, str(row.n), *numbers]))
        small = [f"{r.by} {r.group} ({r.n})" for r in rows if not r.sufficient]
    if small:
        table.caption = f"insufficient, fewer than 30 lesions: {', '.join(small)}"
    return table if table.rows or small else None


def left_out_table(evaluation: Evaluation) -> Table | None:
    """Labels without a truth, official nodes that cannot be read, labels that contradict their class."""
    table = _table("left out or not as mapped")
    table.add_column("where", no_wrap=True)
    table.add_column("lesions", justify="right")
    table.add_column("what")
    labels = evaluation.labels
    for name, reason in labels.unavailable.items():
        table.add_row(*map(Text, [name, "all", reason]))
    for e in labels.excluded:
        table.add_row(*map(Text, [e.label_set, str(e.lesions), f"{e.label}: {e.reason}"]))
    for u in labels.unreadable:
        table.add_row(*map(Text, ["official", str(u.lesions), f"{u.official}: {u.reason}"]))
    for c in labels.unscored:
        table.add_row(
            *map(Text, ["official", "", f"{c}: no training class belongs to it; it is never answered"])
        )
    for (label, official, node), n in (labels.disagreeing or {}).items():
        text = f"{label}: officially {official}, by its node {node}"
        table.add_row(*map(Text, ["official", str(n), text]))
    return table if table.rows else None


def failed_table(evaluation: Evaluation) -> Table | None:
    """Images and answers that are missing, by code; the JSON names each lesion."""
    codes = evaluation.failed_by_code()
    if not codes:
        return None
    table = _table("failed")
    table.add_column("modality or pipeline")
    table.add_column("code")
    table.add_column("lesions", justify="right")
    for (source, code), n in codes.items():
        table.add_row(*map(Text, [source, code, str(n)]))
    return table


def formatted(found: Interval) -> str:
    """`.46 [.42, .50]`; a dash where nothing is defined."""
    if found.value is None:
        return "-"
    if found.low is None or found.high is None:
        return short(found.value)
    return f"{short(found.value)} [{short(found.low)}, {short(found.high)}]"


def signed(found: Interval) -> str:
    """`+.021 [+.003, +.040]`: three places, as differences are small."""
    if found.value is None:
        return "-"
    numbers = [n for n in (found.value, found.low, found.high) if n is not None]
    texts = [f"{n:+.3f}".replace("+0.", "+.").replace("-0.", "-.") for n in numbers]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def short(number: float) -> str:
    """Two places without a leading zero."""
    text = f"{number:.2f}"
    return text[1:] if text.startswith("0.") else text


def _chance(table: Table, blocks: Iterable[Block]) -> None:
    chance = [b.ece_if_calibrated for b in blocks if b.ece_if_calibrated is not None]
    if chance:
        table.caption = (
            f"A perfectly calibrated model would show an ECE of about {short(max(chance))} here by chance."
        )


def _table(title: str) -> Table:
    return Table(
        title=Text(title, style="bold"),
        title_justify="left",
        caption_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="underline",
    )


def _print(out: Console, *tables: Table | None) -> None:
    for table in tables:
        if table is not None:
            out.print()
            out.print(table)
