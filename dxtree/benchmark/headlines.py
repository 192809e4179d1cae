"""What does the page say first: what came out, the table behind it, and whether the gain can be believed?"""

from __future__ import annotations

from collections.abc import Sequence

from dxtree.benchmark.judging import TABLE
from dxtree.benchmark.leaderboard import Leaderboard, changes
from dxtree.benchmark.results import Benchmark, CohortResults
from dxtree.benchmark.shortcuts import METADATA_ALONE, MISSINGNESS_ALONE
from dxtree.benchmark.shown import SETS, named, paired, places, share, value_table
from dxtree.benchmark.tables import LEGEND
from dxtree.evaluation.intervals import Interval
from dxtree.figures import Block, FigureBlock, Section, Table, Text, forest_figure

HEADLINE = (*TABLE, "official_f1", "official_f1_fitted", "macro_auc")
CONTROLS = (METADATA_ALONE, MISSINGNESS_ALONE)


def summary(name: str, benchmark: Benchmark, cohort: CohortResults) -> Section:
    """What came out, in words and as a figure for each reference."""
    blocks: list[Block] = [
        Text(
            f"{cohort.n:,} lesions of {cohort.cohort}, each answered by nets and fusers that never saw it. "
            "Every difference is paired, on the same lesions and resamples, with its 95 % interval; an "
            "interval that holds 0 means no difference that these lesions can show.",
            *(f"Warning: {w}" for w in cohort.warnings),
        )
    ]
    for against in cohort.references():
        blocks += [_verdicts(benchmark, cohort, against), _forest(benchmark, cohort, against)]
    if cohort.traps:
        blocks.append(Text(*(f"Known of this set: {t}." for t in cohort.traps)))
    return Section(f"{name}What came out", *blocks)


def _verdicts(benchmark: Benchmark, cohort: CohortResults, against: str) -> Table:
    titles = {m.name: m.title for m in benchmark.metrics}
    rows = []
    for arm in cohort.main:
        if arm == against or arm in CONTROLS:
            continue
        by_verdict: dict[str, list[str]] = {}
        for metric in TABLE:
            found = cohort.comparison(cohort.headline, metric, arm, against)
            if found is not None:
                by_verdict.setdefault(found.verdict, []).append(titles[metric])
        told = [", ".join(by_verdict.get(v, [])) or "-" for v in ("better", "worse", "no difference")]
        rows.append((arm, *told))
    caption = f"Against {against}, by {SETS[cohort.headline]}"
    return Table(caption, ("arm", "better in", "worse in", "no difference in"), tuple(rows))


def _forest(benchmark: Benchmark, cohort: CohortResults, against: str) -> FigureBlock:
    metrics = named(benchmark.metrics, TABLE)
    arms = [a for a in cohort.main if a != against and a not in CONTROLS]
    nothing = Interval(None, None, None)
    panels = {}
    for m in metrics:
        found = [cohort.comparison(cohort.headline, m.name, a, against) for a in arms]
        panels[m.title] = [(a, c.found if c else nothing) for a, c in zip(arms, found, strict=True)]
    better = {m.title: m.higher_is_better for m in metrics}
    figure = forest_figure(panels, title=f"Each arm minus {against}", higher_is_better=better)
    return FigureBlock(
        figure,
        f"Paired differences to {against}; the table below holds the numbers.",
        f"Differences to {against}, by {SETS[cohort.headline]}, with 95 % intervals: green better, "
        "orange worse, grey no difference that these lesions show.",
    )


def the_table(name: str, benchmark: Benchmark, cohort: CohortResults) -> Section:
    """Every arm's numbers on the headline's classes, what others report, and the paired differences."""
    level = cohort.level(cohort.headline)
    caption = f"{SETS[level.name]}: {level.n:,} lesions, {level.present} of {level.classes} classes present"
    blocks: list[Block] = [value_table(caption, named(benchmark.metrics, HEADLINE), level.cells, cohort.main)]
    titles = {m.name: m.title for m in benchmark.metrics}
    others = [
        (p.name, titles.get(p.metric, p.metric), places(p.value), p.source)
        for p in benchmark.config.published
    ]
    if others:
        caption = "What others report: other lesions or other splits, so it is no paired comparison"
        blocks.append(Table(caption, ("who", "number", "value", "note"), tuple(others)))
    metrics = named(benchmark.metrics, TABLE)
    for against in cohort.references():
        rows = tuple(
            (arm, *(paired(cohort.comparison(cohort.headline, m.name, arm, against)) for m in metrics))
            for arm in cohort.main
            if arm != against
        )
        blocks.append(
            Table(
                f"Paired differences: minus {against}, by {SETS[cohort.headline]}",
                ("arm", *(m.title for m in metrics)),
                rows,
            )
        )
    return Section(f"{name}The table", *blocks, Text(LEGEND))


def shortcuts(name: str, benchmark: Benchmark, cohort: CohortResults) -> Section:
    """What metadata alone, their absence and permuted metadata give."""
    level = cohort.level(cohort.headline)
    controls = [a for a in (*CONTROLS, *cohort.controls) if a in level.cells]
    if not controls:
        return Section(f"{name}Could the answer be read off without looking?")
    rows = tuple(
        (
            m.field,
            f"{m.missing:,}",
            share(m.missing_share),
            f"{m.known:,}",
            share(m.known_share),
            "yes" if m.tells else "no",
        )
        for m in cohort.missing
    )
    head = ("field", "missing", "malignant there", "known", "malignant there", "absence tells")
    return Section(
        f"{name}Could the answer be read off without looking?",
        Text(
            "Metadata alone: a logistic regression on the fields, without any image. Missingness alone: the "
            "shares of classes among lesions with the same fields missing. Metadata permuted: the same "
            "fuser, fitted and asked with each patient's metadata moved to another lesion. What it gains "
            "over the images is calibration or mixture; what the fuser gains over it is what knowing the "
            "patient adds. Where metadata say nothing, about one such comparison in twenty is called better "
            "or worse."
        ),
        value_table(
            f"Controls, by {SETS[level.name]}", named(benchmark.metrics, TABLE), level.cells, controls
        ),
        *_gains(benchmark, cohort),
        Table("Is a field missing for some labels more than for others?", head, rows),
    )


def _gains(benchmark: Benchmark, cohort: CohortResults) -> list[Table]:
    """What knowing the patient adds: each control's fuser minus itself on permuted metadata."""
    metrics = named(benchmark.metrics, TABLE)
    rows = tuple(
        (c.arm, *(paired(cohort.comparison(cohort.headline, m.name, c.arm, c.against)) for m in metrics))
        for c in cohort.comparisons
        if c.against in cohort.controls and (c.label_set, c.metric) == (cohort.headline, TABLE[0])
    )
    head = ("arm", *(m.title for m in metrics))
    return [Table("What the patient's own metadata add to permuted ones", head, rows)] if rows else []


def earlier_run(
    name: str, benchmark: Benchmark, cohort: CohortResults, earlier: Sequence[Leaderboard]
) -> Section:
    """The numbers of the same arms in an earlier run, where one is given."""
    title = f"{name}Beside the earlier run"
    if not earlier:
        return Section(title)
    now = cohort.leaderboard(benchmark.config.name, benchmark.provenance)
    rows = tuple(
        (c.arm, c.metric.replace("_", " "), places(c.before), places(c.now), f"{c.now - c.before:+.3f}")
        for c in changes(now, earlier)
        if c.label_set == cohort.headline and c.metric in TABLE and c.now is not None and c.before is not None
    )
    return Section(
        title, Table("The same arms on the same lesions", ("arm", "number", "before", "now", "change"), rows)
    )
