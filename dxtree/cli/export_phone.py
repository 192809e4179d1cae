"""`dxtree export-phone`: a modality's net as a file for an app on a phone, held against its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.options import (
    JsonOption,
    PluginOption,
    existing,
    models_of,
    print_json,
    registry_of,
    writable_folder,
)

if TYPE_CHECKING:
    from core.manifest import Bundle
    from modalities.cnn.preprocess import ByteImage
    from modalities.phone import PhoneFile
    from plugins.model_set import ModelSet
    from plugins.registry import Registry

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})


def export_phone(
    bundle: Annotated[Path, typer.Argument(help="Folder of a modality's bundle, as MODELS/dermoscopy.")],
    out: Annotated[Path, typer.Option(help="Folder to write the files and phone.json into.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder of pictures like those that the app will see.")
    ] = None,
    cohort: Annotated[
        list[str] | None,
        typer.Option("--cohort", help="NAME=FOLDER, in place of --images: its images of the modality."),
    ] = None,
    precision: Annotated[
        list[str] | None,
        typer.Option(
            help="fp32, fp16, int8-dynamic, or int8, which is calibrated on the pictures. Repeatable. "
            "Default: fp16 and int8-dynamic."
        ),
    ] = None,
    pictures: Annotated[int, typer.Option(min=8, help="How many pictures are read, spread evenly.")] = 64,
    models: Annotated[
        str | None,
        typer.Option("--models", help="Model set that holds the tree. Default: the folder above the bundle."),
    ] = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Export a net to LiteRT for Android and iPhone, unless it does not give the source's answers."""
    from rich.console import Console

    from core.errors import ContractError
    from core.manifest import read_bundle
    from modalities.phone import PRECISIONS, card, write_phone
    from modalities.phone import export_phone as made_of
    from plugins.model_set import MODALITY_MANIFEST

    writable_folder(out)
    wanted = precision or ["fp16", "int8-dynamic"]
    known = [p for p in PRECISIONS if p in wanted]
    if len(known) != len(wanted):
        raise ContractError(f"--precision is one of {', '.join(PRECISIONS)}, each once")
    registry = registry_of(plugin)
    found = read_bundle(existing(bundle, "the bundle"), MODALITY_MANIFEST)
    chosen = _set_of(bundle, registry, models)
    card(found, chosen.partition)  # what does not belong together is told before minutes of converting
    paths = _pictures(found, chosen, registry, images, cohort, pictures)
    with Console(stderr=True).status("reading pictures") as status:
        squares = _squares(found, paths)
        files = made_of(found, known, squares, progress=status.update)
    document = write_phone(out, found, chosen.partition, files)
    if json:
        print_json(document)
        return
    _show(files, out, document["licence"])


def _set_of(bundle: Path, registry: Registry, models: str | None) -> ModelSet:
    """The set whose tree the bundle's classes are of."""
    from core.errors import ContractError
    from plugins.model_set import MANIFEST, ModelSet

    if models is not None:
        return models_of(registry, models)
    above = bundle.resolve().parent
    if not (above / MANIFEST).is_file():
        raise ContractError(
            "the folder above the bundle is no model set; name the one with its tree by --models"
        )
    return ModelSet.open(above)


def _pictures(
    bundle: Bundle,
    models: ModelSet,
    registry: Registry,
    folder: Path | None,
    cohort: list[str] | None,
    most: int,
) -> list[Path]:
    """Paths of up to `most` pictures, spread evenly over all that there are in the order of their names."""
    from core.errors import CohortError
    from dxtree.cohorts.reading import read_cohorts

    if (folder is None) == (not cohort):
        raise CohortError("an export is checked on pictures; give --images FOLDER or --cohort NAME=FOLDER")
    if folder is not None:
        found = sorted(p for p in existing(folder, "the folder").rglob("*") if p.suffix.lower() in ENDINGS)
    else:
        read = read_cohorts(registry, cohort or (), models.partition.taxonomy)
        modality = bundle.require("modality", str)
        found = sorted(i.path for i in read if i.modality == modality and not i.overview)
    if not found:
        raise CohortError("there is no picture of this modality to check the export on")
    count = min(most, len(found))
    return [found[k * len(found) // count] for k in range(count)]


def _squares(bundle: Bundle, paths: list[Path]) -> list[ByteImage]:
    import numpy as np

    from modalities.cnn.preprocess import Preprocessing

    shown = Preprocessing.from_dict(bundle.require("preprocessing", dict))
    return [np.ascontiguousarray(shown.read(path).padded[..., :3]) for path in paths]


def _show(files: list[PhoneFile], out: Path, licence: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from core.diagnosis import RESEARCH_USE

    names = ("bytes", "mean |dp|", "max |dp|", "least cosine", "same top class")
    table = Table("file", *names, box=None)
    table.columns[0].no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    for file in files:
        a = file.agreement
        table.add_row(
            file.name,
            f"{len(file.content):,}",
            f"{a.mean_dp:.2g}",
            f"{a.max_dp:.2g}",
            f"{a.cosine:.4f}",
            f"{a.top_class:.1%}",
        )
    Console(highlight=False).print(table)
    typer.echo(f"\nof {files[0].agreement.images} pictures, against the source in fp32")
    typer.echo(f"licence  {licence}\nwritten  {out}, with phone.json")
    typer.echo(RESEARCH_USE)
