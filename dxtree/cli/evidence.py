"""`dxtree evidence`: what the nets say about each image, computed once for any number of benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import (
    CohortOption,
    ModelsOption,
    PluginOption,
    models_of,
    registry_of,
    writable_folder,
)

if TYPE_CHECKING:
    from core.cohort import LabelledImage
    from dxtree.benchmark.evidence import EvidenceSet
    from plugins.registry import Registry


def evidence(
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="Folder of the evidence set to write.")],
    run: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a finished training run, one a modality: its out-of-fold answers."),
    ] = None,
    models: ModelsOption = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Keep the images of these cohorts alone. Default: all.")
    ] = None,
    taxonomy: Annotated[str, typer.Option(help="Name of the disease tree of the runs.")] = "isic_diagnosis",
    licence: Annotated[str, typer.Option(help="Licence of the set, as its data allow.")] = "not stated",
    engine: Annotated[
        str, typer.Option(help="auto, or an engine of `dxtree bench`; for a model set.")
    ] = "auto",
    plugin: PluginOption = None,
) -> None:
    """Write an evidence set: from training runs, or by a model set over images that it never saw."""
    from core.errors import CohortError
    from dxtree.cohorts.reading import read_cohorts

    writable_folder(out)
    if run and models:
        raise CohortError("--run and --models are two sources; give one")
    registry = registry_of(plugin)
    if run:
        from dxtree.benchmark.collecting import from_runs
        from modalities.training.run import open_run

        tree = registry.taxonomies.get(taxonomy).load()
        images = read_cohorts(registry, cohort, tree)
        found = from_runs([open_run(folder, tree, images) for folder in run])
    else:
        found = _asked(registry, models, cohort, engine, out)
    kept = found.of_cohorts(keep) if keep else found
    kept.with_about(licence=licence).write(out)
    for name, answers in sorted(kept.answers.items()):
        typer.echo(f"{name}: {len(answers.keys):,} images", err=True)
    for reason, count in kept.about.get("left_out", {}).items():
        typer.echo(f"left out, {count:,} images: {reason}", err=True)


def _asked(registry: Registry, models: str | None, cohort: list[str], engine: str, out: Path) -> EvidenceSet:
    from rich.console import Console
    from rich.progress import Progress

    from dxtree.benchmark.collecting import from_models
    from dxtree.cohorts.reading import read_cohorts
    from plugins.assembly import assemble

    chosen = models_of(registry, models)
    images: list[LabelledImage] = read_cohorts(registry, cohort, chosen.partition.taxonomy)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading images", total=len(images))

        def progress(done: int, total: int, rate: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{rate:.0f} images/s")

        pipeline = assemble(registry, chosen, engine=engine)
        return from_models(images, chosen, pipeline, out.with_name(out.name + ".partial"), progress)
