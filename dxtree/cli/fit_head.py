"""`dxtree fit-head`: a linear head on an encoder that a plugin brings, as a run that fusion reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import CohortOption, PluginOption, registry_of, split_of

if TYPE_CHECKING:
    from core.partition import Partition
    from core.split import Split
    from core.taxonomy import Taxonomy
    from modalities.encoders import EncoderModality
    from modalities.encoders.run import Fitted, HeadRun
    from plugins.registry import Registry


def fit_head(
    encoder: Annotated[
        str, typer.Option(help="The plugin with the encoder: a .py file, or the name of an installed one.")
    ],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="Folder of the run. The same command goes on with it.")],
    modality: Annotated[
        str | None, typer.Option(help="Which of the plugin's modalities, where it has several.")
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            help="A split that `dxtree split` wrote. Default: made here, over connected components."
        ),
    ] = None,
    validation: Annotated[float, typer.Option(help="Fraction of lesions held out.")] = 0.2,
    folds: Annotated[int, typer.Option(help="Folds whose out-of-fold evidence fits the fusers.")] = 3,
    seed: Annotated[int, typer.Option(help="Decides the split.")] = 0,
    taxonomy: Annotated[str, typer.Option(help="Name of the disease tree.")] = "isic_diagnosis",
    max_size: Annotated[
        int, typer.Option(help="Largest training class, in images of the training part of all modalities.")
    ] = 150,
    preset: Annotated[str, typer.Option(help="reference or published.")] = "reference",
    balance_power: Annotated[
        float, typer.Option(min=0, max=1, help="A group of n images weighs n to this power.")
    ] = 0.5,
    balance_level: Annotated[
        int, typer.Option(min=0, help="Level of the tree whose nodes are balanced; 0: training classes.")
    ] = 2,
    embeddings: Annotated[
        Path | None, typer.Option(help="Folder of embeddings that runs may share. Default: in the run.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the bundle.")] = None,
    licence: Annotated[str, typer.Option(help="Licence of the head, as its data allow.")] = "not stated",
    plugin: PluginOption = None,
) -> None:
    """Fit a linear head on an encoder: a run with out-of-fold evidence, and a bundle. No torch is needed.

    For research use only; not a medical device.
    """
    from core.split import TRAINING
    from dxtree.cohorts.reading import read_cohorts
    from modalities.encoders.run import Balance, HeadRun

    registry = registry_of([*(plugin or []), encoder])
    spec = _spec(registry, encoder, modality)
    tree = registry.taxonomies.get(taxonomy).load()
    images = read_cohorts(registry, cohort, tree)
    kept = out / "split.json"
    parts = split_of(
        images,
        split or (kept if kept.is_file() else None),
        validation=validation,
        folds=folds,
        seed=seed,
    )
    partition = _partition(tree, [i.label for i in parts.select(images, TRAINING)], max_size, preset)
    balance = Balance(balance_power, balance_level or None)
    run = HeadRun.plan(out, spec, partition, parts, images, balance)
    _tell(run, partition, parts)
    _bundle(run, _fit(run, embeddings), name or f"{spec.name}-head", licence)


def _spec(registry: Registry, encoder: str, modality: str | None) -> EncoderModality:
    """The modality that a plugin makes of an encoder. Raises `PluginError` where there is not exactly one."""
    from core.errors import PluginError, did_you_mean
    from modalities.encoders import EncoderModality

    manager = registry.manager
    is_file = encoder.endswith(".py")
    status = manager.load_file(encoder) if is_file else {s.name: s for s in manager.statuses}.get(encoder)
    if status is not None and status.cause is not None:
        raise status.cause
    specs = {}
    for offered in registry.offered_by(encoder if status is None else status.name)["modality"]:
        found = registry.modalities.get(offered)
        if isinstance(found, EncoderModality):
            specs[offered] = found
    names = ", ".join(specs) or "none"
    if modality is None and len(specs) == 1:
        return next(iter(specs.values()))
    if modality is None or modality not in specs:
        asked = "name one with --modality" if modality is None else f"{modality!r} is none of them"
        near = did_you_mean(modality or "", specs)
        raise PluginError(f"modalities made by modality_from_encoder in this plugin: {names}; {asked}{near}")
    return specs[modality]


def _partition(tree: Taxonomy, labels: list[str], max_size: int, preset: str) -> Partition:
    from collections import Counter

    from core.partition import partition_tree

    return partition_tree(tree, Counter(labels), max_size=max_size, preset=preset)  # type: ignore[arg-type]


def _tell(run: HeadRun, partition: Partition, parts: Split) -> None:
    typer.echo(
        f"{len(run.images):,} {run.reads} images, {len(partition.classes)} training classes "
        f"({partition.report.lost_images} images lost), lesions split {parts.counts()}",
        err=True,
    )


def _fit(run: HeadRun, embeddings: Path | None) -> Fitted:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("images"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(f"embedding by {run.encoder.name}", total=len(run.images))
        return run.fit(lambda done, total: bar.update(task, completed=done, total=total), embeddings)


def _bundle(run: HeadRun, fitted: Fitted, name: str, licence: str) -> None:
    from modalities.encoders.bundling import make_bundle

    bundle, judged = make_bundle(run, fitted, {"name": name, "licence": licence})
    if bundle.manifest["checks"] is None:
        typer.echo("no safety gate: too few training images to fit one", err=True)
    if fitted.embedded.bad:
        typer.echo(f"{len(fitted.embedded.bad)} images cannot be read and were left out", err=True)
    if judged.unseen:
        typer.echo(f"not judged: {judged.unseen} images of classes that lie in one fold alone", err=True)
    typer.echo(
        f"out of fold, {judged.images:,} images: balanced accuracy {judged.balanced_accuracy:.3f} over "
        f"training classes, loss {judged.loss:.3f} (the prior alone: {judged.prior_loss:.3f})",
        err=True,
    )
    typer.echo(f"bundle {name}: {run.folder / 'bundle'}. Research use, not a medical device.", err=True)
