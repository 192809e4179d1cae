"""`dxtree compress`: a bundle whose net is pruned, shares its weights and is stored as Huffman codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import (
    CohortOption,
    JsonOption,
    PluginOption,
    existing,
    print_json,
    registry_of,
    settings_of,
    writable_folder,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dxtree.compressing import Compressed, Material
    from modalities.compression.settings import CompressionConfig
    from plugins.registry import Registry


def compress(
    bundle: Annotated[
        Path,
        typer.Argument(
            help="Folder of a modality's bundle, of a model set, or of a run whose final net is trained."
        ),
    ],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="Folder of the result. The same command resumes it.")],
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the `dxtree train` run that made the bundle: its training lesions train, its "
            "validation lesions judge. A model set knows its own."
        ),
    ] = None,
    modality: Annotated[str | None, typer.Option(help="Which bundle of a model set.")] = None,
    target_ratio: Annotated[
        float | None, typer.Option(help="Bytes of the net in float32 over bytes of the file. Default: 35.")
    ] = None,
    curve: Annotated[
        str | None,
        typer.Option(help="Ratios such as 10,20,35,50: one compression each in OUT/RATIO, one report."),
    ] = None,
    bits: Annotated[int | None, typer.Option(help="A layer shares 2 ** BITS values. Default: 5.")] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="FIELD=VALUE, such as pruning_epochs=8. Repeatable."),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="At most so many validation images judge. Default: all.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=1, help="Bootstrap resamples behind every interval.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    threads: Annotated[int, typer.Option(help="Processor threads; 0 leaves it to torch.")] = 0,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Prune a bundle's net while it learns on, share its weights, and store it as a bundle of few bytes.

    OUT/bundle is the result, OUT/report.md says what it costs on lesions held out of training, beside other
    ways to store the net. Where the bytes miss the ratio all is written and the exit code is 4.
    """
    from core.errors import MissingExtra, TrainingError

    try:
        import torch

        from dxtree.compressing import document, page, verdict
    except ImportError as error:
        raise MissingExtra("compression", "train") from error
    from core.files import write_whole

    asked = _asked(out, target_ratio, curve, bits, setting or [])
    writable_folder(out)
    if threads:
        torch.set_num_threads(threads)
    registry = registry_of(plugin)
    material = _material(registry, existing(bundle, "the bundle"), run, modality, cohort, out)
    found = _compressed(
        material, asked, _malignant(registry, cohort), images=images, resamples=resamples, seed=seed
    )
    told = document(found)
    import json as writer

    text = writer.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
    write_whole(out / "report.json", text.encode())
    write_whole(out / "report.md", page(told).encode())
    if json:
        print_json(told)
    for one, made in zip(told["compressed"], found.made, strict=True):
        typer.echo(f"{made.bundle.manifest.get('name')}: {verdict(one)}", err=True)
    missed = [one for one in told["compressed"] if not one["reached"]]
    if missed:
        raise TrainingError(
            f"{verdict(missed[0])}; the bundle is written as it is. Give a larger --target-ratio, fewer "
            "--bits or --set sparsity=..."
        )


def _asked(
    out: Path, target_ratio: float | None, curve: str | None, bits: int | None, settings: list[str]
) -> list[tuple[CompressionConfig, Path]]:
    """A configuration and its folder for each ratio, ascending.

    Raises `typer.BadParameter` naming the option that cannot be used, and why.
    """
    fields = settings_of(settings) | ({} if bits is None else {"bits": bits})
    if curve is None:
        return [(_config(fields | ({} if target_ratio is None else {"target_ratio": target_ratio})), out)]
    if target_ratio is not None or {"target_ratio", "sparsity"} & fields.keys():
        raise typer.BadParameter("--curve names the ratios; leave target_ratio and sparsity out")
    try:
        ratios = sorted({float(part) for part in curve.split(",")})
    except ValueError:
        raise typer.BadParameter(f"--curve takes ratios such as 10,20,35, not {curve!r}") from None
    return [(_config({**fields, "target_ratio": ratio}), out / f"{ratio:g}") for ratio in ratios]


def _config(fields: dict[str, Any]) -> CompressionConfig:
    from pydantic import ValidationError

    from core.errors import did_you_mean
    from modalities.compression.settings import CompressionConfig

    try:
        return CompressionConfig.model_validate(fields)
    except ValidationError as error:
        known = tuple(CompressionConfig.model_fields)
        wrong = []
        for one in error.errors():
            field = str(one["loc"][0])
            hint = did_you_mean(field, known) if one["type"] == "extra_forbidden" else ""
            wrong.append(f"--set {field}: {one['msg']}{hint}")
        raise typer.BadParameter("; ".join(wrong)) from None


def _material(
    registry: Registry, folder: Path, run: Path | None, modality: str | None, cohort: list[str], out: Path
) -> Material:
    from core.errors import BundleError, CohortError
    from dxtree.cohorts.reading import read_cohorts
    from dxtree.compressing import bundled, find_source, from_run, from_set
    from modalities.training.run import taxonomy_of

    bare = (folder / "run.json").is_file()
    if bare and not (folder / "bundle").is_dir():
        tree = registry.taxonomies.get(taxonomy_of(folder)).load()
        return bundled(folder, tree, read_cohorts(registry, cohort, tree), out / "dense")
    source = find_source(folder / "bundle" if bare else folder, modality)
    if source.models is not None:
        if run is not None:
            raise CohortError("a model set knows which lesions trained it; leave --run out")
        images = read_cohorts(registry, cohort, source.models.partition.taxonomy)
        return from_set(source, images, out)
    made_by = folder if bare else run
    if made_by is None:
        raise BundleError("which lesions trained this bundle? Give --run RUN, the run that made it")
    tree = registry.taxonomies.get(source.bundle.require("taxonomy_name", str)).load()
    return from_run(source.bundle, existing(made_by, "the run"), tree, read_cohorts(registry, cohort, tree))


def _malignant(registry: Registry, cohorts: list[str]) -> str | None:
    """The malignant node that all cohorts agree on; `None` where they differ or have none."""
    nodes = {registry.cohorts.get(text.partition("=")[0]).malignant for text in cohorts}
    return nodes.pop() if len(nodes) == 1 else None


def _compressed(
    material: Material,
    asked: Sequence[tuple[CompressionConfig, Path]],
    malignant: str | None,
    *,
    images: int | None,
    resamples: int,
    seed: int,
) -> Compressed:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from dxtree.compressing import compress as compute

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def task(what: str, total: int) -> Any:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total, told="")
            return tasks[what]

        def learning(config: CompressionConfig, row: dict[str, Any]) -> None:
            what = f"target {config.target_ratio:g}" if config.sparsity is None else "given sparsity"
            told = f"loss {row['loss']:.3f}  {row['images_per_second']:.0f} images/s"
            bar.update(
                task(what, row["steps"]),
                completed=row["step"],
                description=f"{what}: {row['phase']}",
                told=told,
            )

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task(what, total), completed=done)

        return compute(
            material,
            asked,
            malignant,
            images=images,
            resamples=resamples,
            seed=seed,
            learning=learning,
            progress=progress,
        )
