"""How are an experiment's nets trained, by one process or several, so that none is trained twice?"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import RunLocked
from dxtree.experiment.plan import Plan, Unit
from modalities.training.checkpoint import locked
from modalities.training.processes import ALONE, Processes

Watch = Callable[[Unit, dict[str, Any]], None]
"""Receives the unit in hand and each row of its training's report."""

PAUSE = 2.0
"""Seconds between two looks at units that other processes hold."""


def train_all(
    plan: Plan, weights: str | Path | None, watch: Watch, processes: Processes = ALONE, *, wait: bool = True
) -> None:
    """Trains every unit that is not finished, and waits for those that another process trains.

    Any number of processes may call this on one folder: each takes the next unit that nobody holds. Under
    torchrun all processes train each unit together.
    """
    units = plan.units()
    while True:
        held = [
            unit
            for unit in units
            if not unit.is_finished() and not _train(plan, unit, weights, watch, processes)
        ]
        if not held or not wait:
            return
        time.sleep(PAUSE)


def _train(plan: Plan, unit: Unit, weights: str | Path | None, watch: Watch, processes: Processes) -> bool:
    """Trains a unit; `False` where another process holds it."""
    if processes.size > 1:
        unit.run.train(unit.target, weights, partial(watch, unit), processes)
        return True
    try:
        with locked(plan.folder / "locks" / unit.name.replace("/", "_")):
            if not unit.is_finished():
                unit.run.train(unit.target, weights, partial(watch, unit))
                if unit.turns > 1:
                    unit.run.answer_turned(unit.target, unit.turns)
            return True
    except RunLocked:
        return False
