"""`dxtree simulate`: files of a modality in their real format, drawn from physics, with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    modality: Annotated[
        str, typer.Argument(help="A modality that can be simulated, or MODULE:NAME of a recipe.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the files and truth.csv.")],
    lesions: Annotated[int, typer.Option(min=1, help="Number of files; kinds take turns.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other lesions.")] = 0,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also draw the first file before and after preprocessing, as PNG, SVG or PDF."),
    ] = None,
) -> None:
    """Write simulated files of a modality of stacks. They show no patient."""
    from rich.console import Console
    from rich.progress import Progress

    from dxtree.simulating import draw_before_after, write_simulated
    from modalities.stacks.finding import find_recipe

    recipe = find_recipe(modality)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("drawing", total=lesions)
        paths = write_simulated(
            recipe, out, lesions, seed, lambda done, total: bar.update(task, completed=done, total=total)
        )
    if figure is not None:
        draw_before_after(recipe, paths[0], figure)
    typer.echo(
        f"{lesions} files of {recipe.title}, and truth.csv with what each shows; simulated, of no patient"
    )
