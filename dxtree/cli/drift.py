"""`dxtree drift`: do the answers and inputs of a period look like those of a reference?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import JsonOption, ModelsOption, PluginOption, models_of, print_json, registry_of

if TYPE_CHECKING:
    from dxtree.drift import Drift, Sample


def drift(
    trail: Annotated[Path, typer.Argument(help="An audit trail: its diagnoses are the period.")],
    since: Annotated[str | None, typer.Option(help="The period begins at this date (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="The period ends before this date.")] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Another trail, or a CSV of `dxtree evaluate --predictions`. Default: the same trail."
        ),
    ] = None,
    reference_since: Annotated[str | None, typer.Option(help="The reference begins at this date.")] = None,
    reference_until: Annotated[
        str | None, typer.Option(help="The reference ends before this date. Default in one trail: --since.")
    ] = None,
    pipeline: Annotated[
        str | None, typer.Option(help="Which pipeline of the CSV. Default: the fuser of the period.")
    ] = None,
    level: Annotated[float, typer.Option(help="Chance of any false alarm over all rows.")] = 0.05,
    permutations: Annotated[int, typer.Option(help="Deals of the cases behind every p value.")] = 999,
    seed: Annotated[int, typer.Option(help="Seed of the deals.")] = 0,
    fail_above: Annotated[
        float | None, typer.Option(help="Exit 1 where an index that chance does not explain is above this.")
    ] = None,
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Compare answers, node by node, and inputs with a reference: stability indices beside chance."""
    from core.errors import InputError
    from dxtree.drift import compare, moment, of_predictions, of_trail

    begin = None if since is None else moment(since, "--since")
    end = None if until is None else moment(until, "--until")
    first = None if reference_since is None else moment(reference_since, "--reference-since")
    last = None if reference_until is None else moment(reference_until, "--reference-until")
    if reference is None or reference.resolve() == trail.resolve():
        last = begin if last is None else last
        if last is None:
            raise InputError("reference and period would be the same: give --since, or a --reference")
        if (begin is None or last > begin) and (end is None or first is None or first < end):
            raise InputError("cases would stand in reference and period: give dates that do not overlap")
    period = of_trail(trail, since=begin, until=end)
    if reference is not None and reference.suffix.lower() == ".csv":
        if first is not None or last is not None:
            raise InputError("a CSV of predictions has no dates; leave out those of the reference")
        partition = models_of(registry_of(plugin), models).partition
        before = of_predictions(reference, partition, pipeline or _only_fuser(period))
    else:
        before = of_trail(reference or trail, since=first, until=last)
    found = compare(before, period, level=level, permutations=permutations, seed=seed)
    if json:
        print_json(found.to_dict())
    else:
        _show(found)
    if fail_above is not None and found.worst > fail_above:
        raise typer.Exit(1)


def _only_fuser(period: Sample) -> str:
    from core.errors import InputError

    if len(period.fusers) != 1:
        raise InputError("the period has no single fuser; name the pipeline to compare with by --pipeline")
    return next(iter(period.fusers))


def _show(found: Drift) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = [row for row in found.rows if row.reading != "stable"]
    shown.sort(key=lambda row: (row.p > found.level, -row.index))
    console = Console()
    if shown:
        table = Table(title=f"{found.period_cases} cases against {found.reference_cases} of the reference")
        table.add_column("what", overflow="fold")
        for column in ("before", "now", "index", "by chance", "p", "reading"):
            table.add_column(column, justify="right")
        for row in shown:
            means = [Text("-" if m is None else f"{m:.3f}") for m in (row.reference_mean, row.period_mean)]
            numbers = [Text(f"{x:.3f}") for x in (row.index, row.by_chance, row.p)]
            table.add_row(Text(row.name), *means, *numbers, row.reading)
        console.print(table)
    quiet = len(found.rows) - len(shown)
    console.print(
        f"{quiet} of {len(found.rows)} rows are stable (index below .1, no more than chance)", highlight=False
    )
    for notice in found.notices:
        typer.echo(f"notice: {notice}", err=True)
