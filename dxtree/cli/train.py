"""`dxtree train`: one modality's nets over a leak-free split, resumable, and its bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import CohortOption, PluginOption, existing, registry_of, settings_of, split_of

if TYPE_CHECKING:
    from modalities.training.config import TrainingConfig
    from modalities.training.processes import Processes
    from modalities.training.run import Run


def train(
    modality: Annotated[str, typer.Option(help="Which images to train on, such as dermoscopy.")],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="Folder of the run. The same command resumes it.")],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Start: torchvision's name (IMAGENET1K_V1), a safetensors file, or the folder of another "
            "run whose nets are trained further. Default: random."
        ),
    ] = None,
    recipe: Annotated[str, typer.Option(help="modern, esteva-2017, or a YAML file.")] = "modern",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE of the recipe, such as loss=hierarchical. Repeatable."),
    ] = None,
    partial_weights: Annotated[
        bool | None,
        typer.Option(
            "--partial-weights", help="Let layers that the start lacks stay random; the log names them."
        ),
    ] = None,
    architecture: Annotated[str | None, typer.Option(help="Any torchvision classifier.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training part.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of a training crop, pixels.")] = None,
    test_size: Annotated[
        int | None, typer.Option(help="Side of the central crop at inference, pixels.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Largest rate of the schedule.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16.")] = None,
    taxonomy: Annotated[str, typer.Option(help="Name of the disease tree.")] = "isic_diagnosis",
    max_size: Annotated[
        int, typer.Option(help="Largest training class, in images of the training part.")
    ] = 150,
    preset: Annotated[str, typer.Option(help="reference, published or coarse_labels.")] = "reference",
    split: Annotated[
        Path | None,
        typer.Option(
            help="A split that `dxtree split` wrote. Default: made here, over connected components."
        ),
    ] = None,
    validation: Annotated[float, typer.Option(help="Fraction of lesions held out.")] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds whose out-of-fold evidence fits the fusers.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides split, order and augmentation.")] = 0,
    target: Annotated[
        str, typer.Option(help="final, fold-0, fold-1 ... or all. Several processes may share one run.")
    ] = "all",
    name: Annotated[str | None, typer.Option(help="Name of the bundle.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the bundle, as its data allow.")] = "not stated",
    threads: Annotated[int, typer.Option(help="Processor threads; 0 leaves it to torch.")] = 0,
    plugin: PluginOption = None,
) -> None:
    """Train a modality: the final net, one net a fold, and a bundle that runs without torch.

    Under torchrun all processes train each net together.
    """
    from core.errors import MissingExtra, UnsafeFormat

    try:
        import torch

        from modalities.training.processes import join, leave
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise UnsafeFormat(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD lets torch run code from weight files; unset it and start again"
        )
    given = {
        "architecture": architecture,
        "partial_weights": partial_weights,
        "size": size,
        "test_size": test_size,
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "precision": precision,
    }
    asked = {k: v for k, v in given.items() if v is not None}
    config = _config(recipe, setting or [], {**asked, "modality": modality, "seed": seed}, weights)
    # What is misspelt is said before the images are read and the folder holds this configuration.
    check_start(config, weights)
    if threads:
        torch.set_num_threads(threads)
    processes = join()
    registry = registry_of(plugin, warn=processes.writes)
    for step in config.steps:
        registry.preprocessors.get(step)
    run = _plan(
        registry,
        cohort,
        taxonomy,
        config,
        out,
        (max_size, preset),
        (split, validation, folds, seed),
        target,
        processes,
    )
    for one in run.targets() if target == "all" else (target,):
        _train_one(run, one, weights, processes)
    if processes.writes and all(run.is_finished(t) for t in run.targets()):
        _bundle(run, name or f"{modality}-{config.architecture}", licence)
    processes.wait()
    leave()


def check_start(config: TrainingConfig, weights: str | None) -> None:
    """Whether net, start and frozen layer can be, before anything is read. Raises typed errors."""
    from modalities.cnn.torch_net import build, check_architecture, check_weights
    from modalities.training.freezing import check_layer

    check_architecture(config.architecture)
    if weights is not None and not Path(weights).is_dir():
        check_weights(config.architecture, weights)
        if Path(weights).suffix:
            existing(Path(weights), "the file of starting weights")
    if config.frozen is not None:
        check_layer(build(config.architecture, 2), config.frozen)


def _config(recipe: str, settings: list[str], options: dict[str, Any], weights: str | None) -> TrainingConfig:
    """The recipe with what `--set` and the options change, the options last.

    Raises `typer.BadParameter` naming the option that cannot be used, and why.
    """
    from core.errors import TrainingError
    from modalities.training.recipe import make_config, read_recipe

    fields = read_recipe(recipe) | settings_of(settings)
    start = None if weights is None else Path(weights).name
    try:
        return make_config({**fields, **options, "weights": start})
    except TrainingError as error:
        text = error.safe_message
        field = text.partition(":")[0]
        raise typer.BadParameter(f"--{text.replace(field, field.replace('_', '-'), 1)}") from None


def _plan(
    registry: Any,
    cohort: list[str],
    taxonomy: str,
    config: TrainingConfig,
    out: Path,
    cut: tuple[int, str],
    parts: tuple[Path | None, float, int, int],
    target: str,
    processes: Processes,
) -> Run:
    import json
    from collections import Counter

    from core.files import write_whole
    from core.partition import partition_tree
    from core.split import TRAINING
    from dxtree.cohorts.reading import read_cohorts
    from modalities.training.run import Run, read_split
    from modalities.training.starting import check_target

    tree = registry.taxonomies.get(taxonomy).load()
    images = read_cohorts(registry, cohort, tree)
    given, validation, folds, seed = parts
    # What cannot be is said before a folder is made.
    partition_tree(tree, {}, max_size=cut[0], preset=cut[1])  # type: ignore[arg-type]
    if processes.writes and not (out / "split.json").is_file():
        made = split_of(images, given, validation=validation, folds=folds, seed=seed)
        check_target(target, made.folds)
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / "split.json", json.dumps(made.to_dict(), indent=1).encode())
    processes.wait()
    split = read_split(out)
    counts = Counter(i.label for i in split.select(images, TRAINING))
    partition = partition_tree(tree, counts, max_size=cut[0], preset=cut[1])  # type: ignore[arg-type]
    chosen = tuple(i for i in images if i.modality == config.modality)
    if processes.writes:
        typer.echo(
            f"{len(chosen):,} {config.modality} images, {len(partition.classes)} training classes "
            f"({partition.report.lost_images} images lost), lesions split {split.counts()}",
            err=True,
        )
    return Run(out, config, partition, split, chosen, steps=registry.preprocessors.specs)


def _train_one(run: Run, target: str, weights: str | None, processes: Processes) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:.0f} images/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not processes.writes) as progress:
        task = progress.add_task(f"{run.config.modality} {target}", total=None, loss=float("nan"), rate=0.0)

        def report(row: dict[str, Any]) -> None:
            progress.update(
                task,
                completed=row["step"],
                total=row["steps"],
                loss=row["loss"],
                rate=row["images_per_second"],
            )

        run.train(target, weights, report, processes)


def _bundle(run: Run, name: str, licence: str) -> None:
    from modalities.training.bundling import make_bundle

    bundle = make_bundle(run, run.folder / "bundle", {"name": name, "licence": licence}, {})
    if bundle.manifest["checks"] is None:
        typer.echo("no safety gate: too few training images to fit one", err=True)
    size = sum(len(content) for content in bundle.files.values())
    typer.echo(f"bundle {name}: {run.folder / 'bundle'} ({size / 1e6:.1f} MB)", err=True)
