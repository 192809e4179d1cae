"""`dxtree train-simulated`: a demonstration net of a modality for which no image can be had."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dxtree.cli.options import JsonOption, PluginOption, models_of, print_json, registry_of


def train_simulated(
    modality: Annotated[
        str, typer.Argument(help="A modality that can be simulated, or MODULE:NAME of a recipe.")
    ],
    out: Annotated[Path, typer.Option(help="New folder for the model set with the added net.")],
    models: Annotated[
        str, typer.Option("--models", help="Name or folder of the model set that is copied.")
    ] = "demonstration",
    lesions: Annotated[int, typer.Option(help="Simulated lesions, in all; about a third judge.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other lesions and another net.")] = 0,
    epochs: Annotated[int, typer.Option(help="How often the net sees each lesion that it learns.")] = 24,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Fit a net to simulated lesions and add it to a copy of a model set. It knows no patient."""
    from dataclasses import asdict

    from rich.console import Console
    from rich.progress import Progress

    from core.diagnosis import RESEARCH_USE
    from dxtree.simulating import add_simulated
    from modalities.stacks.finding import find_recipe

    recipe = find_recipe(modality)
    found = models_of(registry_of(plugin), models)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("drawing", total=None)

        def progress(what: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=what)

        made, judged = add_simulated(
            found, recipe, out, lesions=lesions, seed=seed, epochs=epochs, progress=progress
        )
    if json:
        print_json({"modality": recipe.name, "digest": made.bundle.digest, "judged": asdict(judged)})
        return
    typer.echo(f"{recipe.title}: {judged}")
    typer.echo("The net was fitted to simulations and knows no patient; its answers show that the way works.")
    typer.echo(RESEARCH_USE)
