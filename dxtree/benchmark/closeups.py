"""What does the page say of arms looked at closely, of every level, and of groups of patients?"""

from __future__ import annotations

from dxtree.benchmark.closer import chosen_arms
from dxtree.benchmark.judging import Court
from dxtree.benchmark.results import Benchmark, CohortResults
from dxtree.benchmark.shown import SETS, chance, named, places, value_table, with_interval
from dxtree.evaluation.labels import OFFICIAL
from dxtree.evaluation.report import signed
from dxtree.evaluation.subgroups import SHOWN
from dxtree.figures import Block, FigureBlock, Section, Table, Text
from dxtree.figures.reliability import reliability_figure
from dxtree.figures.risk_coverage import risk_coverage_figure

WORST = 8
"""Subgroups shown an arm; results.json holds all."""

BY_LEVEL = ("accuracy", "balanced_accuracy", "macro_auc", "log_loss", "brier", "ece", "tree_distance")
NODES = ("auc_", "average_precision_", "sensitivity_", "specificity_")
"""Beginnings of the names of a node's metrics."""

ACT_FROM = (0.05, 0.1, 0.2, 0.3, 0.5)
"""Thresholds of the net benefit that the page shows."""


def calibration(name: str, court: Court, cohort: CohortResults) -> Section:
    """Calibration error of the chosen arms and their calibrated variants, with reliability diagrams."""
    arms = chosen_arms(court.field, court.config)
    title = f"{name}Is it as sure as it should be?"
    if not arms:
        return Section(title)
    rows = tuple(
        (
            arm,
            SETS[level.name],
            with_interval(level.cells[arm]["ece"]),
            places(level.ece_by_chance[arm]),
            with_interval(level.cells[arm]["brier"]),
            with_interval(level.cells[arm]["log_loss"]),
        )
        for arm in arms
        for level in cohort.levels
    )
    head = ("arm", "classes", "ECE", "ECE by chance", "Brier", "log loss")
    blocks: list[Block] = [
        Text(
            "Calibrators are fitted at the training classes, after fusion, on lesions of other folds; every "
            "node of the tree stays the sum of its classes. ECE is over 15 bins of equal mass. By chance is "
            "what a perfectly calibrated model with the same confidences would show on as many lesions."
        ),
        Table("Does a stated probability come true?", head, rows),
    ]
    for arm in (a for a in arms if court.field.arms[a].variant is None):
        tree = [level for level in cohort.levels if level.name != OFFICIAL]
        panels = {SETS[level.name]: level.reliability[arm] for level in tree}
        alt = f"How often the top answer of {arm} is right over how sure it is, at each level."
        caption = f"{arm}: share right over stated probability, 15 bins of equal mass with 95 % intervals."
        figure = reliability_figure(
            panels,
            title=arm,
            errors={SETS[level.name]: level.cells[arm]["ece"] for level in tree},
            chance={SETS[level.name]: level.ece_by_chance[arm] for level in tree},
        )
        blocks.append(FigureBlock(figure, alt, caption))
    return Section(title, *blocks)


def depth(name: str, court: Court, cohort: CohortResults) -> Section:
    """Prediction sets, risk over coverage, and answers at the deepest node that is probable enough."""
    look, blocks = cohort.closer, list[Block]()
    if look.sets:
        rows = tuple(
            (
                s.arm,
                s.level,
                "each class" if s.per_class else "all lesions",
                f"{s.lesions:,}",
                with_interval(s.covered),
                f"{s.size:.2f}",
                f"{s.classes:.1f}",
                f"{s.decided:.0%}",
            )
            for s in look.sets
        )
        head = (
            "arm",
            "level",
            "promised for",
            "lesions",
            "holds the truth",
            "mean size",
            "classes under cover",
            "single",
        )
        caption = f"Prediction sets that are to hold the truth in {court.config.coverage:.0%} of lesions"
        blocks.append(Table(caption, head, rows))
    if look.risks:
        figure = risk_coverage_figure(look.risks, title="Leaving the least sure unanswered")
        alt = "Error among the answered lesions over the share that is answered."
        blocks.append(FigureBlock(figure, alt, "Risk over coverage, by the probability of the top class."))
    answers = tuple(
        (arm, places(p.threshold), with_interval(p.answered), with_interval(p.depth), with_interval(p.error))
        for arm, points in look.depths.items()
        for p in points
    )
    if answers:
        columns = ("arm", "threshold", "answered", "mean level", "error")
        blocks.append(Table("Answering at the deepest node that is probable enough", columns, answers))
    return Section(f"{name}Answers at the right depth", *blocks)


def benefit(name: str, cohort: CohortResults) -> Section:
    """Net benefit of acting on the malignant node."""
    title = f"{name}What is acting on it worth?"
    rows = tuple(
        (arm, places(p.threshold), with_interval(p.acting), with_interval(p.everybody), signed(p.gain))
        for arm, curve in cohort.closer.benefits.items()
        for p in curve.points
        if any(abs(p.threshold - t) < 1e-9 for t in ACT_FROM)
    )
    if not rows:
        return Section(title)
    head = ("arm", "act from", "net benefit", "acting on everybody", "gain over the better of all and none")
    return Section(
        title,
        Text(
            "Net benefit (Vickers and Elkin 2006): malignant lesions acted upon, less benign ones at the "
            "exchange rate of the threshold, as a share of all lesions. A positive gain means that acting on "
            "the answer is better than acting on everybody and better than acting on nobody."
        ),
        Table(f"Acting from a probability of {cohort.malignant}", head, rows),
    )


def levels(name: str, benchmark: Benchmark, cohort: CohortResults) -> Section:
    """Every arm on the other label sets, and on chosen nodes."""
    metrics = named(benchmark.metrics, BY_LEVEL)
    tables = [
        value_table(
            f"{SETS[one.name]}: {one.n:,} lesions, {one.present} of {one.classes} classes present",
            metrics,
            one.cells,
            cohort.main,
        )
        for one in cohort.levels
        if one.name != cohort.headline
    ]
    nodes = [m for m in benchmark.metrics if m.name.startswith(NODES)]
    level = cohort.level(cohort.headline)
    if any(m.name in level.cells[cohort.main[0]] for m in nodes):
        tables.append(value_table("Nodes of the tree", nodes, level.cells, cohort.main))
    return Section(f"{name}Every level, and chosen nodes", *tables)


def groups(name: str, cohort: CohortResults) -> Section:
    """The worst subgroups of the references and of each fuser with everything."""
    title = f"{name}For whom does it work worst?"
    rows = tuple(
        (arm, one.by, one.group, str(one.n), *(with_interval(one.metrics[m]) for m in SHOWN))
        for arm, found in cohort.subgroups.items()
        for one in [g for g in found if g.sufficient][:WORST]
    )
    if not rows:
        return Section(title)
    head = ("arm", "by", "group", "lesions", *(m.replace("_", " ") for m in SHOWN))
    small = {
        f"{g.by} {g.group} ({g.n})" for found in cohort.subgroups.values() for g in found if not g.sufficient
    }
    note = f"Too few lesions for a number, under 30: {', '.join(sorted(small))}." if small else ""
    table = Table(f"The {WORST} worst groups of each arm, by {SETS[cohort.headline]}", head, rows)
    return Section(title, table, *([Text(note)] if note else []))


def classical(name: str, cohort: CohortResults) -> Section:
    """McNemar's and DeLong's tests."""
    title = f"{name}The classical tests"
    rows = tuple(
        (
            t.arm,
            t.against,
            f"{t.mcnemar.only_first:,}",
            f"{t.mcnemar.only_second:,}",
            chance(t.mcnemar.mid),
            signed(t.delong.difference) if t.delong else "-",
            chance(t.delong.p) if t.delong else "-",
        )
        for t in cohort.tests
        if t.arm in cohort.main
    )
    if not rows:
        return Section(title)
    head = (
        "arm", "against", "only this right", "only the other right", "McNemar mid-p", "AUC difference",
        "DeLong p",
    )  # fmt: skip
    caption = f"Right answers by {SETS[cohort.headline]}, and the area of {cohort.malignant}; p not corrected"
    return Section(title, Table(caption, head, rows))
