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
        bool, typer.Option(help="Whether age, sex and site tell anything about the diagnosis.")
    ] = True,
) -> None:
    """Draw a synthetic cohort for trying dxtree out where there is no data."""
    from rich.console import Console
    from rich.progress import Progress

    from dxtree.cohorts import SyntheticConfig, write_synthetic

    config = SyntheticConfig(lesions=lesions, seed=seed, size=size, metadata_signal=metadata_signal)
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("drawing", total=lesions)
        write_synthetic(
            folder, config, lambda done, total: progress.update(task, completed=done, total=total)
        )
    typer.echo(f"{lesions} lesions in {folder}; read them as --cohort synthetic={folder}", err=True)
