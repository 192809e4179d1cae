"""`dxtree experiment`: arms, folds and one report from one YAML file, resumable."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import (
    JsonOption,
    PluginOption,
    check_experiment_extras,
    existing,
    print_json,
    registry_of,
)

if TYPE_CHECKING:
    from dxtree.experiment.config import ExperimentConfig
    from dxtree.experiment.plan import Plan
    from modalities.training.processes import Processes
    from plugins.registry import Registry


def experiment(
    file: Annotated[Path, typer.Argument(help="The experiment, a YAML file; see examples/experiments.")],
    data: Annotated[Path, typer.Option(help="Folder that holds one folder a cohort, such as milk10k.")],
    out: Annotated[Path, typer.Option(help="Folder of the experiment. The same command resumes it.")],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Start: torchvision's name (IMAGENET1K_V1) or a safetensors file. Default: random."
        ),
    ] = None,
    split: Annotated[
        Path | None, typer.Option(help="A split that `dxtree split` wrote. Default: made here, leak-free.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Processes that train at once, each with its share of the cores.")
    ] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each process; 0 leaves it to torch.")] = 0,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Train what is missing, or only report what is there.")
    ] = True,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Train every arm on every fold, compare them on the lesions that no net saw, and write the report."""
    check_experiment_extras()
    import torch

    from dxtree.experiment.config import read_experiment
    from dxtree.experiment.environment import record
    from dxtree.experiment.report import print_results, write_results
    from dxtree.experiment.results import compute
    from modalities.training.processes import join, leave

    # Each process takes its share of the cores: two that fight for one are slower than one that works.
    torch.set_num_threads(threads or max(1, torch.get_num_threads() // jobs))
    processes = join()
    registry = registry_of(plugin, warn=processes.writes)
    config = read_experiment(existing(file, "the experiment's file"))
    plan = prepare(config, registry, existing(data, "the data folder"), out, weights, split, processes)
    if processes.writes:
        record(plan, file, weights)
    if train:
        _train(plan, weights, jobs, processes)
    leave()
    if not processes.writes:
        return
    if config.bundle:
        _bundle(plan)
    results = compute(plan, registry)
    write_results(plan, results)
    if json:
        print_json(results.to_dict())
    else:
        print_results(results)
        typer.echo(f"report: {out / 'report.html'}", err=True)


def prepare(
    config: ExperimentConfig,
    registry: Registry,
    data: Path,
    out: Path,
    weights: str | None,
    split: Path | None,
    processes: Processes,
) -> Plan:
    """Reads the cohorts, makes or reads the split, and plans every net."""
    from dxtree.cohorts.reading import read_cohorts
    from dxtree.experiment.plan import make_plan

    tree = registry.taxonomies.get(config.taxonomy).load()
    images = read_cohorts(registry, [f"{name}={data / name}" for name in config.cohorts], tree)
    if processes.writes:
        _write_split(config, images, out, split)
    processes.wait()
    from modalities.training.run import read_split

    return make_plan(
        config, out, tree, images, read_split(out), None if weights is None else Path(weights).name
    )


def _write_split(config: ExperimentConfig, images: Any, out: Path, given: Path | None) -> None:
    """Keeps the experiment's split in its folder; a later call finds it there."""
    import json

    if (out / "split.json").is_file():
        return
    from core.files import write_whole
    from dxtree.cli.options import split_of

    out.mkdir(parents=True, exist_ok=True)
    found = split_of(
        images,
        given,
        validation=config.split.validation,
        folds=config.split.folds,
        seed=config.split.seed,
        quality=config.split.quality_filter,
    )
    write_whole(out / "split.json", json.dumps(found.to_dict(), indent=1).encode())


def _train(plan: Plan, weights: str | None, jobs: int, processes: Processes) -> None:
    """Trains in this process and, with more than one job, in others that run the same plan."""
    import multiprocessing

    import torch

    from dxtree.experiment.running import train_all

    threads = torch.get_num_threads()
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=helper, args=(plan, weights, threads)) for _ in range(jobs - 1)]
    for other in others:
        other.start()
    try:
        with _watching(plan, processes) as watch:
            train_all(plan, weights, watch, processes)
    finally:
        for other in others:
            other.terminate()
            other.join()


def helper(plan: Plan, weights: str | None, threads: int) -> None:
    """One more process that trains what nobody holds, and leaves when there is nothing left to take."""
    import torch

    from dxtree.experiment.running import train_all

    torch.set_num_threads(threads)
    train_all(plan, weights, lambda _unit, _row: None, wait=False)


def _bundle(plan: Plan) -> None:
    """Bundles of the reference arm's final nets, beside their runs."""
    from modalities.training.bundling import make_bundle

    for modality in plan.config.modalities:
        run = plan.runs[plan.config.reference, modality]
        if (run.folder / "bundle").is_dir() or not all(run.is_finished(t) for t in run.targets()):
            continue
        about = {"name": f"{modality}-{run.config.architecture}", "licence": plan.config.licence}
        make_bundle(run, run.folder / "bundle", about, {})
        typer.echo(f"bundle: {run.folder / 'bundle'}", err=True)


def _watching(plan: Plan, processes: Processes) -> Any:
    from dxtree.experiment.watching import watching

    return watching(plan, quiet=not processes.writes)
