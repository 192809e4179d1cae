"""`dxtree train`: one modality's nets over a leak-free split, resumable, and its bundle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import CohortOption, PluginOption, existing, registry_of

if TYPE_CHECKING:
    from modalities.training.config import TrainingConfig
    from modalities.training.run import Run


def train(
    modality: Annotated[str, typer.Option(help="Which images to train on, such as dermoscopy.")],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="Folder of the run. The same command resumes it.")],
    weights: Annotated[
        str | None,
        typer.Option(
            help="Start: torchvision's name (IMAGENET1K_V1) or a safetensors file. Default: random."
        ),
    ] = None,
    partial_weights: Annotated[
        bool,
        typer.Option(
            "--partial-weights", help="Let layers that the start lacks stay random; the log names them."
        ),
    ] = False,
    architecture: Annotated[str, typer.Option(help="Any torchvision classifier.")] = "mobilenet_v2",
    taxonomy: Annotated[str, typer.Option(help="Name of the disease tree.")] = "isic_diagnosis",
    max_size: Annotated[
        int, typer.Option(help="Largest training class, in images of the training part.")
    ] = 150,
    preset: Annotated[str, typer.Option(help="reference or published.")] = "reference",
    epochs: Annotated[int, typer.Option(help="Passes over the training part.")] = 7,
    size: Annotated[int, typer.Option(help="Side of a training crop, pixels.")] = 192,
    test_size: Annotated[int, typer.Option(help="Side of the central crop at inference, pixels.")] = 224,
    batch: Annotated[int, typer.Option(help="Images a step.")] = 32,
    learning_rate: Annotated[float, typer.Option(help="Peak of the one-cycle schedule (AdamW).")] = 1e-3,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
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
    """Train a modality: the final net, one net a fold, and a bundle that runs without torch."""
    from core.errors import MissingExtra, UnsafeFormat

    try:
        import torch

        from modalities.cnn.torch_net import check_architecture, check_weights
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"):
        raise UnsafeFormat(
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD lets torch run code from weight files; unset it and start again"
        )
    # What is misspelt is said before the images are read and the folder holds this configuration.
    check_architecture(architecture)
    if weights is not None:
        check_weights(architecture, weights)
        if Path(weights).suffix:
            existing(Path(weights), "the file of starting weights")
    if threads:
        torch.set_num_threads(threads)
    config = _config(
        modality=modality,
        architecture=architecture,
        weights=None if weights is None else Path(weights).name,
        partial_weights=partial_weights,
        size=size,
        test_size=test_size,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        precision=precision,
        seed=seed,
    )
    run = _plan(
        registry_of(plugin), cohort, taxonomy, config, out, (max_size, preset), (validation, folds, seed)
    )
    for one in run.targets() if target == "all" else (target,):
        _train_one(run, one, weights)
    if all(run.is_finished(t) for t in run.targets()):
        _bundle(run, name or f"{modality}-{architecture}", licence)


def _config(**options: Any) -> TrainingConfig:
    """The recipe. Raises `typer.BadParameter` naming the options that cannot be used, and why."""
    from pydantic import ValidationError

    from modalities.training.config import TrainingConfig

    try:
        return TrainingConfig(**options)
    except ValidationError as error:
        wrong = (f"--{str(e['loc'][0]).replace('_', '-')}: {e['msg']}" for e in error.errors())
        raise typer.BadParameter("; ".join(wrong)) from None


def _plan(
    registry: Any,
    cohort: list[str],
    taxonomy: str,
    config: TrainingConfig,
    out: Path,
    cut: tuple[int, str],
    parts: tuple[float, int, int],
) -> Run:
    from collections import Counter

    from core.partition import partition_tree
    from core.split import TRAINING, split_by_component
    from dxtree.fitting import read_cohorts
    from modalities.training.run import Run

    tree = registry.taxonomies.get(taxonomy).load()
    images = read_cohorts(registry, cohort, tree)
    validation, folds, seed = parts
    split = split_by_component(images, validation=validation, folds=folds, seed=seed)
    counts = Counter(i.label for i in split.select(images, TRAINING))
    partition = partition_tree(tree, counts, max_size=cut[0], preset=cut[1])  # type: ignore[arg-type]
    chosen = tuple(i for i in images if i.modality == config.modality)
    typer.echo(
        f"{len(chosen):,} {config.modality} images, {len(partition.classes)} training classes "
        f"({partition.report.lost_images} images lost), lesions split {split.counts()}",
        err=True,
    )
    return Run(out, config, partition, split, chosen)


def _train_one(run: Run, target: str, weights: str | None) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
        TextColumn("loss {task.fields[loss]:.3f}  {task.fields[rate]:.0f} images/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(f"{run.config.modality} {target}", total=None, loss=float("nan"), rate=0.0)

        def report(row: dict[str, Any]) -> None:
            progress.update(
                task,
                completed=row["step"],
                total=row["steps"],
                loss=row["loss"],
                rate=row["images_per_second"],
            )

        run.train(target, weights, report)


def _bundle(run: Run, name: str, licence: str) -> None:
    from modalities.training.bundling import make_bundle

    bundle = make_bundle(run, run.folder / "bundle", {"name": name, "licence": licence}, {})
    size = sum(len(content) for content in bundle.files.values())
    typer.echo(f"bundle {name}: {run.folder / 'bundle'} ({size / 1e6:.1f} MB)", err=True)
