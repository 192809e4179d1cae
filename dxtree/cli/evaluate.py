"""`dxtree evaluate`: image-only against each fuser on the same lesions, with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dxtree.cli.gate import GateOption, policy_of
from dxtree.cli.options import (
    JsonOption,
    ModelsOption,
    PluginOption,
    existing,
    models_of,
    print_json,
    registry_of,
)

if TYPE_CHECKING:
    from core.cohort import Lesion
    from plugins.model_set import ModelSet


def evaluate(
    cohort: Annotated[str, typer.Option(help="milk10k, ham10000, isic, synthetic, or a plugin's.")],
    data: Annotated[Path, typer.Option(help="Folder with metadata.csv and images.")],
    lesions: Annotated[
        str, typer.Option(help="all, or validation: those that the model set held out of training.")
    ] = "all",
    resamples: Annotated[int, typer.Option(help="Bootstrap resamples behind every interval.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    predictions: Annotated[
        Path | None, typer.Option(help="Write the probabilities of every lesion to this CSV.")
    ] = None,
    engine: Annotated[str, typer.Option(help="auto, or an engine of `dxtree bench`.")] = "auto",
    gate: GateOption = None,
    models: ModelsOption = None,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Compare image-only with every fuser on identical lesions, paired and grouped by lesion."""
    from rich.console import Console
    from rich.progress import Progress

    from core.cohort import lesions as grouped
    from dxtree.evaluation import evaluate as compute
    from dxtree.evaluation import print_evaluation, write_predictions
    from plugins.assembly import assemble, load_fuser, usable_fusers
    from plugins.registry import guarded

    registry = registry_of(plugin)
    found = models_of(registry, models)
    policy = policy_of(gate)
    spec = registry.cohorts.get(cohort)
    tree = found.partition.taxonomy
    images = guarded(f"cohort {cohort!r}", lambda: spec.read(existing(data, "the data folder"), tree))
    chosen, notices = choose(grouped(images), lesions, found)
    names = [n for n in usable_fusers(registry, found) if n != "image_only"]
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading images", total=len(chosen))

        def progress(done: int, total: int, rate: float) -> None:
            bar.update(task, completed=done, total=total, description=f"{rate:.0f} images/s")

        result = compute(
            chosen,
            assemble(registry, found, engine=engine).with_gate(policy),
            {name: load_fuser(registry, found, name) for name in names},
            spec,
            part=lesions,
            resamples=resamples,
            seed=seed,
            progress=progress,
        )
    if predictions is not None:
        write_predictions(result.predictions, predictions)
    if json:
        print_json({"notices": notices, **result.to_dict()})
        return
    for notice in notices:
        typer.echo(f"notice: {notice}", err=True)
    print_evaluation(result)


def choose(every: list[Lesion], which: str, models: ModelSet) -> tuple[list[Lesion], list[str]]:
    """The lesions to evaluate, and what a reader must know about them. Raises `CohortError`."""
    from core.errors import CohortError
    from core.split import TRAINING, VALIDATION

    if which not in ("all", VALIDATION):
        raise CohortError(f"--lesions is all or {VALIDATION}, not {which!r}")
    if which == VALIDATION:
        held = [x for x in every if models.part_of(x.lesion) == VALIDATION]
        if not held:
            raise CohortError("no lesion of this folder was held out by the model set; use --lesions all")
        return held, []
    seen = sum(models.part_of(x.lesion) == TRAINING for x in every)
    if not seen:
        return every, []
    return every, [
        f"{seen} of {len(every)} lesions trained these models, so these numbers are too good; "
        "use --lesions validation"
    ]
