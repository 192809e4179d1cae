"""How far is an experiment? One line for all nets, one for the net in hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from dxtree.experiment.plan import Plan, Unit
from dxtree.experiment.running import Watch


@contextmanager
def watching(plan: Plan, *, quiet: bool) -> Iterator[Watch]:
    """Progress on standard error, nothing with `quiet`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} {task.fields[what]}"),
        TimeRemainingColumn(),
    )
    units = plan.units()
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        whole = progress.add_task(plan.config.name, total=len(units), what="nets")
        one = progress.add_task("waiting", total=None, what="")

        def watch(unit: Unit, row: dict[str, Any]) -> None:
            computing = row["loss"] != row["loss"]
            rate = f"loss {row['loss']:.3f}  {row['images_per_second']:.0f} images/s"
            progress.update(
                one,
                description=unit.name,
                completed=row["step"],
                total=row["steps"],
                what="images computed" if computing else f"steps  {rate}",
            )
            if row["step"] == 1 or row["step"] == row["steps"]:
                progress.update(whole, completed=sum(u.is_finished() for u in units))

        yield watch
        progress.update(whole, completed=sum(u.is_finished() for u in units))
