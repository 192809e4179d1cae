"""`dxtree export`: an int8 graph for a bundle, and the record that each engine gives the source's answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import JsonOption, PluginOption, existing, print_json, registry_of

if TYPE_CHECKING:
    from core.partition import Partition
    from core.split import Split
    from dxtree.exporting import Exported, Source
    from plugins.registry import Registry


def export(
    bundle: Annotated[Path, typer.Argument(help="Folder of a modality's bundle, or of a model set.")],
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            "--cohort",
            help="NAME=FOLDER, such as milk10k=data/milk10k: the images that the bundle was trained on. "
            "Repeatable.",
        ),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(
            help="split.json of the run that made the bundle: its training lesions calibrate, its validation "
            "lesions check. A model set knows its own."
        ),
    ] = None,
    modality: Annotated[str | None, typer.Option(help="Which bundle of a model set.")] = None,
    out: Annotated[Path | None, typer.Option(help="New folder for the result.")] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Put the result in place of BUNDLE.")] = False,
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine to check. Repeatable. Default: every one that is installed, but torch-compile."
        ),
    ] = None,
    calibration: Annotated[int, typer.Option(min=1, help="Training images that set the int8 ranges.")] = 100,
    images: Annotated[
        int | None, typer.Option(min=1, help="At most so many validation images check. Default: all.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples behind every interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Make the int8 graph of a bundle, check every engine on real images, and record the checks in it."""
    from rich.console import Console

    from core.errors import CohortError
    from dxtree.cohorts.reading import read_cohorts
    from dxtree.exporting import check_target, choose, open_source
    from dxtree.exporting.bundles import write_exported
    from dxtree.exporting.report import print_exported

    if not cohort:
        raise CohortError(
            "an engine is checked on real images: give --cohort NAME=FOLDER for each data set that the "
            "bundle was trained on, and for a single bundle --split RUN/split.json"
        )
    source = open_source(existing(bundle, "the bundle"), modality)
    target = check_target(source, out, in_place=in_place)
    part_of = source.part_of(None if split is None else _split(split))
    registry = registry_of(plugin)
    partition = _partition(registry, source)
    every = read_cohorts(registry, cohort, partition.taxonomy)
    chosen = choose(every, source.modality, part_of, calibration=calibration, most=images)
    found = _exported(
        source, partition, chosen, _malignant(registry, cohort), engine or [], resamples=resamples, seed=seed
    )
    written = write_exported(source, found.entries, found.files, target)
    if json:
        print_json(_document(found, source.modality, written.digest))
        return
    print_exported(found, Console(highlight=False))
    typer.echo(f"bundle: {target.name}", err=True)


def _split(path: Path) -> Split:
    import json

    from core.errors import CohortError
    from core.split import Split

    try:
        return Split.from_dict(json.loads(existing(path, "the split").read_text("utf-8")))
    except ValueError as error:
        raise CohortError(f"{path.name} is no JSON; `dxtree split` writes one") from error


def _partition(registry: Registry, source: Source) -> Partition:
    from dxtree.exporting.truth import partition_of

    if source.models is not None:
        return source.models.partition
    tree = registry.taxonomies.get(source.bundle.require("taxonomy_name", str)).load()
    return partition_of(source.bundle, tree)


def _malignant(registry: Registry, cohorts: list[str]) -> str | None:
    """The malignant node that all cohorts agree on; `None` where they differ or have none."""
    nodes = {registry.cohorts.get(text.partition("=")[0]).malignant for text in cohorts}
    return nodes.pop() if len(nodes) == 1 else None


def _exported(
    source: Source,
    partition: Partition,
    chosen: Any,
    malignant: str | None,
    engines: list[str],
    **options: int,
) -> Exported:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from dxtree.exporting import export as compute

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            task = tasks.setdefault(what, None)
            if task is None:
                task = tasks[what] = bar.add_task(what, total=total)
            bar.update(task, completed=done)

        return compute(
            source.bundle, partition, chosen, malignant, engines=engines, progress=progress, **options
        )


def _document(found: Exported, modality: str, digest: str) -> dict[str, Any]:
    from core.diagnosis import RESEARCH_USE

    return {
        "modality": modality,
        "digest": digest,
        "against": found.against,
        "quantisation": found.entries.get("quantisation"),
        "engines": {n: {"megabytes": found.megabytes[n], **r} for n, r in found.records.items()},
        "left_out": dict(found.left_out),
        "notice": RESEARCH_USE,
    }
