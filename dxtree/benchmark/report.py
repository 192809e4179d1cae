"""How is a benchmark shown as one page that people read from top to bottom?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dxtree.benchmark import closeups, headlines
from dxtree.benchmark.leaderboard import Leaderboard
from dxtree.benchmark.results import Benchmark, CohortResults
from dxtree.benchmark.run import Outcome
from dxtree.figures import Command, Section, Table, Text, write_report


def write_benchmark_report(path: Path, outcome: Outcome, earlier: Sequence[Leaderboard] = ()) -> None:
    """Writes the page, which needs nothing else. Raises `MissingExtra` without the extra `report`."""
    benchmark = outcome.benchmark
    sections: list[Section] = []
    for court, cohort in zip(outcome.courts, benchmark.cohorts, strict=True):
        name = f"{cohort.cohort}: " if len(benchmark.cohorts) > 1 else ""
        sections += [
            headlines.summary(name, benchmark, cohort),
            headlines.the_table(name, benchmark, cohort),
            headlines.earlier_run(name, benchmark, cohort, earlier),
            headlines.shortcuts(name, benchmark, cohort),
            closeups.calibration(name, court, cohort),
            closeups.depth(name, court, cohort),
            closeups.benefit(name, cohort),
            closeups.levels(name, benchmark, cohort),
            closeups.groups(name, cohort),
            closeups.classical(name, cohort),
            _left_out(name, cohort),
        ]
    sections.append(_made(benchmark))
    lead = "Ways to combine images and metadata, compared on identical lesions and folds."
    write_report(path, benchmark.config.name, [s for s in sections if s.blocks], lead=lead)


def _left_out(name: str, cohort: CohortResults) -> Section:
    told = [f"{count:,} lesions: {reason}." for reason, count in cohort.left_out.items()]
    told += [
        f"{arm} answers as {other} does, to the last bit, and has no row of its own."
        for arm, other in cohort.same.items()
    ]
    told += [f"No lesion has an answer by {arm}." for arm in cohort.empty]
    return Section(f"{name}Left out, and one and the same", *([Text(*told)] if told else []))


def _made(benchmark: Benchmark) -> Section:
    told = benchmark.provenance
    libraries = ", ".join(f"{k} {v}" for k, v in told["libraries"].items())
    sets = (
        f"Evidence {name}: {about.get('source', 'given')}, digest {str(about['digest'])[:16]}."
        for name, about in told["evidence"].items()
    )
    rows = tuple((m.title, m.definition) for m in benchmark.metrics)
    return Section(
        "How it was made",
        Command("dxtree benchmark BENCHMARK.yaml --data DATA --out OUT"),
        Text(
            f"dxtree {told['dxtree']}, {libraries}, on {told['platform']}, {told['cores']} cores. Data "
            f"digest {told['data'][:16]}, partition {told['partition'][:16]}.",
            *sets,
            "Most sets publish no patient id, so lesions of one patient count as independent.",
        ),
        Table("What the numbers mean", ("number", "definition"), rows),
    )
