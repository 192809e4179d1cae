"""`dxtree fit-concepts`: a table of named scores to a model set that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import (
    JsonOption,
    ModelsOption,
    PluginOption,
    existing,
    models_of,
    print_json,
    registry_of,
)


def fit_concepts(
    table: Annotated[Path, typer.Option(help="CSV with columns of concepts, each score from 0 to 1.")],
    out: Annotated[Path, typer.Option(help="New folder for the model set with the added bundle.")],
    cohort: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER of the images that the table names. Repeatable. Default: the table has the "
            "columns lesion and label, a node of the tree."
        ),
    ] = None,
    key: Annotated[str, typer.Option(help="With --cohort: the table's column of image ids.")] = "isic_id",
    name: Annotated[str, typer.Option(help="Name of the bundle.")] = "concepts",
    licence: Annotated[str, typer.Option(help="Licence of the bundle, as its data allow.")] = "not stated",
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the modality `concepts` to a table and add it to a copy of a model set.

    Lesions that the set held out stay held out. For research use only; not a medical device.
    """
    from dataclasses import asdict

    from core.diagnosis import RESEARCH_USE
    from dxtree.adding import add_modality
    from dxtree.cohorts.reading import read_cohorts
    from dxtree.concept_table import read_concept_table
    from modalities.concepts.fitting import fit_concepts as fitted

    registry = registry_of(plugin)
    found = models_of(registry, models)
    images = None
    if cohort:
        images = {i.image: i for i in read_cohorts(registry, cohort, found.partition.taxonomy)}
    read = read_concept_table(
        existing(table, "the table"), found.partition, images, key=key, part_of=found.part_of
    )
    about = {"name": name, "licence": licence}
    made, judged = add_modality(
        found, "concepts", out, lambda folder: fitted(read.rows, found.partition, folder, about)
    )
    bundle = made.modality_bundle("concepts")
    concepts = [] if bundle is None else bundle.require("concepts", list)
    if json:
        told = {"digest": made.bundle.digest, "concepts": concepts, "left_out": dict(read.left_out)}
        print_json({**told, "judged": asdict(judged)})
        return
    for why, rows in read.left_out.items():
        typer.echo(f"left out, {rows:,} rows: {why}", err=True)
    typer.echo(f"read: {', '.join(concepts)}")
    typer.echo(
        f"out of fold, {judged.rows:,} rows of {judged.lesions:,} lesions: balanced accuracy "
        f"{judged.balanced_accuracy:.3f} (95 % interval {judged.low:.3f} to {judged.high:.3f}) over "
        f"{judged.classes} training classes, chance {judged.chance:.3f}; loss {judged.loss:.3f} (the prior "
        f"alone: {judged.prior_loss:.3f})"
    )
    typer.echo(f"written: {out}\n{RESEARCH_USE}")
