"""How are an experiment's results shown: in the terminal, as files, and as one page?"""

from __future__ import annotations

import json
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table as Grid

from core.diagnosis import RESEARCH_USE
from core.files import write_whole
from dxtree.binary import SCORE_TITLES
from dxtree.evaluation.intervals import Interval
from dxtree.experiment.drawing import Drawn, draw
from dxtree.experiment.plan import Plan
from dxtree.experiment.results import JUDGED, Cell, Results
from dxtree.figures import Block, Command, FigureBlock, Section, Table, Text, save, write_report

MARKS = {"better": "▲", "worse": "▼", "no difference": "=", "undefined": "?"}
LEGEND = "▲ better, ▼ worse than the reference; = the interval holds 0"
HEAD = ("arm", "classes", "accuracy", "balanced acc.", "even prior")


def write_results(plan: Plan, results: Results) -> None:
    """Writes results.json, figures/ and report.html into the experiment's folder."""
    content = json.dumps(results.to_dict(), ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(plan.folder / "results.json", content.encode())
    figures = draw(plan, results)
    (plan.folder / "figures").mkdir(exist_ok=True)
    for name, one in figures.items():
        save(one.figure, plan.folder / "figures" / f"{name}.{one.kind}")
    sections = [
        _summary(plan, results),
        *(_comparison(plan, results, m, figures) for m in plan.config.modalities),
        *_tasks(results, figures),
        *_looks(figures),
        _setting(plan, results),
    ]
    write_report(plan.folder / "report.html", plan.config.name, [s for s in sections if s.blocks])


def print_results(results: Results) -> None:
    """The comparison as tables, the reference first."""
    console = Console()
    for modality, yardstick in _places(results):
        cells = [c for c in results.cells if (c.modality, c.yardstick) == (modality, yardstick)]
        grid = Grid(title=f"{modality}, {yardstick}: {cells[0].images:,} images no net had seen")
        for k, name in enumerate(HEAD):
            grid.add_column(name, justify="left" if k == 0 else "right", no_wrap=k == 0)
        for row in rows_of(results, modality, yardstick):
            grid.add_row(*row)
        console.print(grid)
    for task in results.tasks:
        for score, curve in task.curves.items():
            console.print(f"{task.task.title}, {SCORE_TITLES[score]}: n {task.n}, AUC {shown(curve.auc)}")
    for name in results.missing:
        console.print(f"not trained on every fold yet: {name}")
    for note in results.notes:
        console.print(f"note: {note}")
    console.print(
        f"Differences are to the reference on the same images, 95 % intervals over lesions: {LEGEND}."
    )
    console.print(RESEARCH_USE)


def rows_of(results: Results, modality: str, yardstick: str) -> Iterator[tuple[str, ...]]:
    """One row an arm: name, classes, and for each metric its value and its difference to the reference."""
    classes = {facts.arm: str(facts.classes) for facts in results.arms if facts.modality == modality}
    several = {name: f"{len(arms)} arms" for name, arms in results.ensembles.items()}
    for arm, size in {**classes, **several}.items():
        cells = [results.cell(modality, yardstick, arm, m.name) for m in JUDGED]
        if any(c is None for c in cells):
            continue
        told = [told_of(cell) for cell in cells if cell is not None]
        mark = " (reference)" if arm == results.reference else ""
        yield (arm + mark, size, *told)


def told_of(cell: Cell) -> str:
    """Mean and SD over folds, and the difference to the reference with its interval."""
    spread = "" if cell.deviation is None else f" ± {_short(cell.deviation)}"
    text = f"{_short(cell.mean)}{spread}"
    if cell.difference is None or cell.difference.value is None:
        return text
    return f"{text}\n{_signed(cell.difference)} {MARKS[cell.verdict or 'undefined']}"


def shown(value: Interval) -> str:
    """A value with its interval, such as .71 [.68, .74]."""
    if value.value is None:
        return value.reason or "not defined"
    if value.low is None or value.high is None:
        return _short(value.value)
    return f"{_short(value.value)} [{_short(value.low)}, {_short(value.high)}]"


def _signed(value: Interval) -> str:
    parts = [f"{v:+.3f}".replace("0.", ".") for v in (value.value, value.low, value.high) if v is not None]
    return parts[0] + (f" [{', '.join(parts[1:])}]" if len(parts) == 3 else "")


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _places(results: Results) -> list[tuple[str, str]]:
    return list(dict.fromkeys((c.modality, c.yardstick) for c in results.cells))


def _summary(plan: Plan, results: Results) -> Section:
    told = []
    for modality, yardstick in _places(results):
        for arm in (*(a.name for a in plan.config.arms), *plan.config.ensembles):
            cell = results.cell(modality, yardstick, arm, "accuracy")
            other = results.cell(modality, yardstick, arm, "balanced_accuracy")
            if cell is None or cell.difference is None or other is None or other.difference is None:
                continue
            told.append(
                (
                    arm,
                    modality,
                    yardstick,
                    f"{_signed(cell.difference)} {cell.verdict}",
                    f"{_signed(other.difference)} {other.verdict}",
                )
            )
    head = ("arm", "modality", "judged on", "accuracy", "balanced accuracy")
    return Section(
        "What came out",
        Text(
            f"Every arm trains the same net in the same way and differs in its training classes alone. It is "
            f"judged on images that its net had not seen; {results.reference} is what each is compared with. "
            "An interval that holds 0 means no difference that these lesions can show.",
        ),
        Table(f"Each arm less {results.reference}, with 95 % intervals over lesions", head, tuple(told)),
    )


def _comparison(plan: Plan, results: Results, modality: str, figures: dict[str, Drawn]) -> Section:
    blocks: list[Block] = []
    for place, yardstick in _places(results):
        if place == modality:
            rows = tuple(tuple(t.split("\n")[0] for t in r) for r in rows_of(results, modality, yardstick))
            caption = f"{yardstick}: mean ± SD over {len(plan.config.trained_folds())} fold(s)"
            blocks.append(Table(caption, HEAD, rows))
    blocks += [_block(one) for name, one in figures.items() if name.startswith(f"compare-{modality}")]
    return Section(f"{modality.capitalize()}: fine classes against coarse ones", *blocks)


def _tasks(results: Results, figures: dict[str, Drawn]) -> list[Section]:
    found = []
    for task in results.tasks:
        rows = []
        for score, curve in task.curves.items():
            points = {p.asked: shown(p.specificity) for p in task.points[score] if p.aim == "sensitivity"}
            rows.append((SCORE_TITLES[score], shown(curve.auc), *(points[k] for k in sorted(points))))
        asked = sorted({p.asked for ps in task.points.values() for p in ps if p.aim == "sensitivity"})
        head = ("score", "AUC", *(f"spec. at sens. {_short(a)[:3]}" for a in asked))
        caption = f"{task.n:,} images of the two sets; thresholds are chosen on these very images: optimistic"
        blocks: list[Block] = [Table(caption, head, tuple(rows))]
        blocks += [_block(one) for name, one in figures.items() if name == f"task-{task.task.name}"]
        found.append(Section(task.task.title, *blocks))
    return found


def _looks(figures: dict[str, Drawn]) -> list[Section]:
    blocks = [_block(one) for name, one in figures.items() if name.startswith("look-")]
    return [Section("A closer look at the reference arm", *blocks)]


def _setting(plan: Plan, results: Results) -> Section:
    rows = tuple(
        (
            f.arm,
            f.modality,
            str(f.classes),
            f"{f.largest:,}",
            str(f.epochs),
            f"{f.seconds:,.0f}",
            f"{f.images_per_second:.0f}",
        )
        for f in results.arms
    )
    head = ("arm", "modality", "classes", "largest", "epochs", "seconds", "images/s")
    environment = json.loads((plan.folder / "environment.json").read_bytes())
    machine = ", ".join(f"{k} {v}" for k, v in environment["versions"].items())
    return Section(
        "How it was made",
        Command("dxtree experiment experiment.yaml --data DATA --out RUN --weights WEIGHTS"),
        Text(
            f"Python {environment['python']} on {environment['platform']}, {environment['cores']} cores, "
            f"{environment['threads']} thread(s) a process; {machine}.",
            *results.notes,
            *(f"Not trained on every fold yet: {name}." for name in results.missing),
        ),
        Table("Arms: training classes, images of the largest, and the cost of all folds", head, rows),
    )


def _block(one: Drawn) -> FigureBlock:
    return FigureBlock(one.figure, one.alt, one.caption, one.kind)
