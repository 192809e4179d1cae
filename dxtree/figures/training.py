"""How did a net learn?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.errors import ContractError
from core.tree import FloatArray
from dxtree.figures.style import (
    FAINT,
    MARKERS,
    PALETTE,
    blank,
    drawn,
    titled,
)


@drawn
def training_figure(
    rows: Sequence[Mapping[str, object]],
    *,
    title: str,
    validation: Sequence[Mapping[str, object]] = (),
) -> Figure:
    """Loss and speed of a run over its steps, and whatever else was measured on the way.

    `rows` are those of `metrics.jsonl`: epoch, loss, images_per_second and, where there is one, step; rows
    without a loss (events) are passed over. `validation`: rows with epoch or step and any further numbers;
    a name with "loss" in it joins the losses, everything else has a panel of its own from 0 to 1. Numbers of
    such names in `rows` count as well. Raises `ContractError` where no row has a loss.
    """
    learnt = [r for r in rows if isinstance(r.get("loss"), int | float)]
    if not learnt:
        raise ContractError("no row has a loss; give the rows of metrics.jsonl")
    by = "step" if all("step" in r for r in learnt) else "epoch"
    measured = _measured([*rows, *validation], by, learnt)
    losses = {k: v for k, v in measured.items() if "loss" in k}
    others = {k: v for k, v in measured.items() if "loss" not in k}
    heights = [3.0, *([2.2] if others else []), 1.2]
    figure = blank(height=2.2 + 1.6 * sum(heights) / 1.35)
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    x, loss = _column(learnt, by), _column(learnt, "loss")
    top: Axes = panels[0]
    top.plot(x, loss, color=PALETTE[4], lw=0.6, alpha=0.7)
    top.plot(x, _smoothed(loss), color=PALETTE[0], label="training, smoothed")
    _lines(top, losses, PALETTE[1:])
    top.set_ylabel("loss")
    top.set_ylim(bottom=min(0.0, float(loss.min())))
    titled(figure, title, f"{len(learnt):,} rows, last loss {loss[-1]:.3f}")
    top.legend(loc="best")
    if others:
        _lines(panels[1], others, PALETTE[2:])
        panels[1].set_ylim(0, 1)
        panels[1].set_ylabel("validation")
        panels[1].legend(loc="best")
    speed = [r for r in learnt if "images_per_second" in r]
    panels[-1].plot(_column(speed, by), _column(speed, "images_per_second"), color=FAINT, lw=0.8)
    panels[-1].set(ylabel="images/s", xlabel=by)
    panels[-1].set_ylim(bottom=0)
    figure.align_ylabels(list(panels))
    return figure


def _measured(
    rows: Sequence[Mapping[str, object]], by: str, learnt: Sequence[Mapping[str, object]]
) -> dict[str, tuple[FloatArray, FloatArray]]:
    """Every further number of the rows by its name, with where it stands."""
    known = {"step", "steps", "epoch", "epochs", "loss", "images_per_second", "learning_rate", "seconds"}
    ends: dict[object, object] = {r["epoch"]: r[by] for r in learnt if "epoch" in r}
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        at = row.get(by, ends.get(row.get("epoch")))
        for name, value in row.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if name not in known and number and isinstance(at, int | float):
                found.setdefault(name, []).append((float(at), float(value)))  # type: ignore[arg-type]
    return {k: (np.array(v)[:, 0], np.array(v)[:, 1]) for k, v in found.items()}


def _lines(axes: Axes, lines: Mapping[str, tuple[FloatArray, FloatArray]], colours: Sequence[str]) -> None:
    for k, (name, (x, y)) in enumerate(lines.items()):
        marker, colour = MARKERS[k % len(MARKERS)], colours[k % len(colours)]
        axes.plot(x, y, f"{marker}-", color=colour, ms=3, label=name.replace("_", " "))


def _smoothed(values: FloatArray) -> FloatArray:
    """Running mean over a twentieth of the rows, shorter at both ends."""
    half = len(values) // 40
    total = np.concatenate([[0.0], np.cumsum(values)])
    here = np.arange(len(values))
    first, last = np.maximum(here - half, 0), np.minimum(here + half + 1, len(values))
    return np.asarray((total[last] - total[first]) / (last - first))


def _column(rows: Sequence[Mapping[str, object]], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], np.float64)
