"""`dxtree synthesize`: a drawn cohort with known truth, in the layout of the ISIC archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    folder: Annotated[Path, typer.Argument(help="Folder to write metadata.csv and images into.")],
    lesions: Annotated[
        int, typer.Option(help="Number of lesions; each has a clinical and a dermoscopic view.")
    ] = 600,
    seed: Annotated[int, typer.Option(help="Another seed, other lesions; the same seed, the same ones.")] = 0,
    size: Annotated[int, typer.Option(help="Side of an image in pixels.")] = 192,
    metadata_signal: Annotated[
        bool | None,
        typer.Option(
            help="Whether age, sex and site tell anything about the diagnosis: "
            "they do unless --fine-signal is yes or no."
        ),
    ] = None,
    fine_signal: Annotated[
        str,
        typer.Option(
            help="What fine classes tell beyond coarse ones: what the invented diagnoses do (natural), "
            "all that a coarse label withholds (yes), or nothing (no)."
        ),
    ] = "natural",
) -> None:
    """Draw a synthetic cohort for trying dxtree out where there is no data.

    With --fine-signal yes or no it is one to check a training method against, with a tree of its own.
    """
    from rich.console import Console
    from rich.progress import Progress

    from dxtree.cohorts import SyntheticConfig, write_synthetic

    config = SyntheticConfig(
        lesions=lesions,
        seed=seed,
        size=size,
        metadata_signal=metadata_signal,
        fine_signal=fine_signal,  # type: ignore[arg-type]
    )
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("drawing", total=lesions)
        write_synthetic(
            folder, config, lambda done, total: progress.update(task, completed=done, total=total)
        )
    name = "synthetic" if fine_signal == "natural" else "fine_signal"
    typer.echo(
        f"{lesions} lesions in {folder}; read them as --cohort {name}={folder} --taxonomy {name}", err=True
    )
