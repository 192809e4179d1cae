"""`dxtree benchmark`: image-only against each fuser and each set of inputs, from evidence that is there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import (
    JsonOption,
    PluginOption,
    check_report_extras,
    existing,
    print_json,
    registry_of,
    writable_folder,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.cohort import Lesion
    from dxtree.benchmark.config import BenchmarkConfig
    from dxtree.benchmark.evidence import EvidenceSet
    from dxtree.benchmark.run import Outcome
    from plugins.registry import Registry


def benchmark(
    file: Annotated[Path, typer.Argument(help="The benchmark, a YAML file; see examples/benchmarks.")],
    data: Annotated[Path, typer.Option(help="Folder that holds one folder a cohort, such as milk10k.")],
    out: Annotated[Path, typer.Option(help="Folder of the results. The same command goes on from there.")],
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER: an evidence set in place of the one that the file names. Repeatable."
        ),
    ] = None,
    lesions: Annotated[
        str | None,
        typer.Option(help="out_of_fold or held_out, in place of what the file says: whom results are about."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="The leaderboard.json of an earlier run, to compare with.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes that fit at once. Default: one a core, at most 4.")
    ] = None,
    parquet: Annotated[
        bool, typer.Option("--parquet", help="Write the table of lesions as Parquet too; needs the extra.")
    ] = False,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Compare fusers and inputs on identical lesions and folds, with intervals, and write the report."""
    from dxtree.benchmark.config import read_benchmark
    from dxtree.benchmark.files import write_outcome
    from dxtree.benchmark.leaderboard import check_comparable, read_leaderboards
    from dxtree.benchmark.tables import print_benchmark

    check_report_extras()
    writable_folder(out)
    earlier = read_leaderboards(existing(against, "the earlier leaderboard")) if against else []
    config = read_benchmark(existing(file, "the benchmark's file"), _named(evidence), lesions)
    if earlier:
        check_comparable(config.cohorts, earlier)
    registry = registry_of(plugin)
    sets = _read_evidence(config)
    members = _read_lesions(config, registry, existing(data, "the data folder"), sets)
    outcome = _run(config, registry, members, sets, out, jobs or min(os.cpu_count() or 1, 4), plugin or [])
    write_outcome(outcome, out, earlier, parquet=parquet)
    if json:
        print_json(outcome.benchmark.to_dict())
        return
    print_benchmark(outcome.benchmark, earlier)
    typer.echo(f"report: {out / 'report.html'}", err=True)


def _named(given: list[str] | None) -> dict[str, Path]:
    from core.errors import CohortError

    found = {}
    for one in given or []:
        name, equals, folder = one.partition("=")
        if not (name and equals and folder):
            raise CohortError(f"--evidence {one!r}: NAME=FOLDER is needed")
        found[name] = Path(folder)
    return found


def _read_evidence(config: BenchmarkConfig) -> dict[str, EvidenceSet]:
    from dxtree.benchmark.evidence import read_evidence_set

    return {name: read_evidence_set(folder) for name, folder in config.evidence.items()}


def _read_lesions(
    config: BenchmarkConfig, registry: Registry, data: Path, sets: Mapping[str, EvidenceSet]
) -> dict[str, list[Lesion]]:
    from core.cohort import lesions
    from dxtree.cohorts.reading import read_cohorts

    tree = next(iter(sets.values())).partition.taxonomy
    return {name: lesions(read_cohorts(registry, [f"{name}={data / name}"], tree)) for name in config.cohorts}


def _run(
    config: BenchmarkConfig,
    registry: Registry,
    lesions: Mapping[str, list[Lesion]],
    sets: Mapping[str, EvidenceSet],
    out: Path,
    jobs: int,
    plugins: list[str],
) -> Outcome:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from dxtree.benchmark.run import run_benchmark

    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("fitting", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        return run_benchmark(
            config,
            registry,
            lesions,
            sets,
            cache=out / "answers",
            jobs=jobs,
            plugins=plugins,
            progress=progress,
        )
