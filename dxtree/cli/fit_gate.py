"""`dxtree fit-gate`: thresholds of the checks of images, from the lesions that trained a model set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import (
    CohortOption,
    JsonOption,
    PluginOption,
    models_of,
    print_json,
    registry_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modalities.gate import SafetyGate


def fit_gate(
    models: Annotated[str, typer.Argument(help="Name or folder of a model set.")],
    cohort: CohortOption,
    out: Annotated[Path, typer.Option(help="New folder of the set with its gate, or the set's own.")],
    rate: Annotated[
        float, typer.Option(help="False alarms of each check: share of such images that it flags.")
    ] = 0.01,
    images: Annotated[int, typer.Option(min=1, help="At most so many images of each modality.")] = 1500,
    seed: Annotated[int, typer.Option(help="Decides which images, where there are more.")] = 0,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Fit the safety gate of a model set. No net is trained or changed."""
    from rich.console import Console
    from rich.progress import Progress

    from dxtree.cohorts.reading import read_cohorts
    from dxtree.gating.fitting import fit_gates, write_gates

    registry = registry_of(plugin)
    found = models_of(registry, models)
    given = read_cohorts(registry, cohort, found.partition.taxonomy)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking at images", total=None)

        def progress(modality: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description=f"looking at {modality} images")

        gates = fit_gates(found, given, rate=rate, most=images, seed=seed, progress=progress)
    written = write_gates(found, gates, out)
    left = sorted(set(found.modalities) - set(gates))
    if json:
        print_json({"digest": written.bundle.digest, "gates": _told(gates), "left_as_they_were": left})
        return
    for modality, gate in gates.items():
        typer.echo(f"{modality}: {gate.fitted_on['images']} images of {gate.fitted_on['lesions']} lesions")
        for name, limit in gate.limits.items():
            typer.echo(f"  {name:<20} {limit.action:<7} above {limit.threshold:9.4f}")
    for modality in left:
        typer.echo(f"{modality}: left as it was; its bundle does not say what its net is shown")


def _told(gates: Mapping[str, SafetyGate]) -> dict[str, Any]:
    return {m: {key: gate.to_dict()[key] for key in ("fitted_on", "limits")} for m, gate in gates.items()}
