"""`dxtree reproduce`: an experiment trained again, and whether its nets are the same."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import (
    JsonOption,
    PluginOption,
    check_experiment_extras,
    existing,
    print_json,
    registry_of,
)


def reproduce(
    run: Annotated[Path, typer.Argument(help="Folder that `dxtree experiment` wrote.")],
    data: Annotated[Path, typer.Option(help="Folder that holds one folder a cohort, such as milk10k.")],
    out: Annotated[Path, typer.Option(help="Folder of the repetition. The same command resumes it.")],
    weights: Annotated[
        str | None, typer.Option(help="The same start as then; its sha256 is checked. Default: random.")
    ] = None,
    net: Annotated[
        list[str] | None,
        typer.Option(help="ARM/MODALITY/fold-K to repeat, all without it. Repeatable."),
    ] = None,
    threads: Annotated[
        int, typer.Option(help="Threads; 0 takes as many as then, which equal bits need.")
    ] = 0,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Train an experiment's nets again from its own file and split, and compare weights and answers.

    Exit code 1 where an answer differs; on one machine, with the versions and threads of then, none does.
    """
    check_experiment_extras()
    from functools import partial

    import torch
    from rich.console import Console
    from rich.table import Table

    from dxtree.cli.experiment import prepare
    from dxtree.experiment.config import read_experiment
    from dxtree.experiment.repeating import check_start, chosen, compare, read_environment
    from dxtree.experiment.watching import watching
    from modalities.training.processes import ALONE

    changed = check_start(run, weights)
    torch.set_num_threads(threads or int(read_environment(run)["threads"]))
    config = read_experiment(run / "experiment.yaml")
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "split.json", out / "split.json")
    plan = prepare(config, registry_of(plugin), existing(data, "the data folder"), out, weights, None, ALONE)
    units = chosen(plan, net or [])
    with watching(plan, quiet=False) as watch:
        for unit in units:
            unit.run.train(unit.target, weights, partial(watch, unit))
    found = [compare(unit, run / "arms" / unit.arm / unit.modality) for unit in units]
    if json:
        print_json({"changed": changed, "nets": [one.to_dict() for one in found]})
    else:
        table = Table("net", "weights", "answers", "largest difference of a logit", "same decision")
        for one in found:
            bits = ["same bits" if same else "differ" for same in (one.same_weights, one.same_answers)]
            table.add_row(one.unit, *bits, f"{one.furthest:.3g}", f"{one.agree:.1%}")
        Console().print(table)
        for line in changed:
            typer.echo(f"note: {line}", err=True)
    if not all(one.same_answers for one in found):
        raise typer.Exit(1)
