"""Do stated probabilities come true at every level of the tree? One small panel a level, from its bins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.errors import ContractError
from core.tree import FloatArray
from dxtree.evaluation import Interval
from dxtree.evaluation.results import Bin
from dxtree.figures.style import DASHES, FAINT, PALETTE, WIDE, WIDTH, blank, drawn, stated, unit_axes

ACROSS = 3
"""Panels side by side: a fourth would leave no room for the numbers on the axes."""

BARS = 20
"""Bars of a histogram of confidence, from 0 to 1."""


@drawn
def reliability_figure(
    panels: Mapping[str, Sequence[Bin]],
    *,
    title: str,
    errors: Mapping[str, Interval] | None = None,
    chance: Mapping[str, float] | None = None,
) -> Figure:
    """Share that was right over the confidence that was stated, bin by bin, with the bins' intervals.

    `panels`: name, such as a level, to bins of equal mass. Below each panel, where the confidences lie: the
    mass of a bin is spread evenly between the middles to its neighbours. `errors`: calibration error to
    state by panel; `chance`: what chance alone gives. Raises `ContractError` without a panel, for one
    without bins, and for a bin whose accuracy is not defined.
    """
    if not panels:
        raise ContractError("no panel is given; name at least one, such as a level, with its bins")
    for name, bins in panels.items():
        if not bins or any(None in (b.accuracy.value, b.accuracy.low, b.accuracy.high) for b in bins):
            raise ContractError(f"panel {name!r} has no bin, or one whose accuracy is not defined")
    across = min(ACROSS, len(panels))
    down = -(-len(panels) // across)
    figure = blank(WIDTH if across == 1 else WIDE * (across + 0.2) / (ACROSS + 0.2), 1.0 + 7.2 * down)
    grid = figure.subplots(
        2 * down, across, squeeze=False, sharex=True, height_ratios=[5, 1] * down, gridspec_kw={"hspace": 0}
    )
    for place, (name, bins) in enumerate(panels.items()):
        row, column = divmod(place, across)
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        _curve(above, bins, first=column == 0)
        _histogram(below, bins, first=column == 0)
        above.set_title(_head(name, bins, (errors or {}).get(name), (chance or {}).get(name)), size=7)
    for empty in range(len(panels), down * across):
        row, column = divmod(empty, across)
        grid[2 * row, column].remove()
        grid[2 * row + 1, column].remove()
    figure.suptitle(title, x=0.01, ha="left", size=8.5, weight="bold")
    figure.align_ylabels()
    return figure


def confidence_mass(bins: Sequence[Bin], edges: FloatArray) -> FloatArray:
    """Lesions between neighbouring `edges`, each bin spread evenly between the middles to its neighbours.

    The outermost bins reach as far outward as inward, within 0 and 1. Bins of one confidence stand as one.
    """
    middle, which = np.unique(np.round([b.confidence for b in bins], 9), return_inverse=True)
    mass = np.bincount(which, [b.n for b in bins])
    between = (middle[1:] + middle[:-1]) / 2
    outward = (between[0] - middle[0], middle[-1] - between[-1]) if len(between) else (0.5 / BARS,) * 2
    ends = np.clip([middle[0] - outward[0], *between, middle[-1] + outward[1]], 0, 1)
    return np.diff(np.interp(edges, ends, np.concatenate([[0.0], np.cumsum(mass)])))


def _curve(axes: Axes, bins: Sequence[Bin], *, first: bool) -> None:
    sure = np.array([b.confidence for b in bins])
    low, right, high = (
        np.array([getattr(b.accuracy, side) for b in bins], np.float64) for side in ("low", "value", "high")
    )
    axes.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=DASHES)
    axes.errorbar(
        sure,
        right,
        yerr=np.stack([right - low, high - right]),
        fmt="o-",
        ms=2.6,
        lw=0.9,
        color=PALETTE[0],
        elinewidth=0.7,
    )
    unit_axes(axes, "", "share that was right" if first else "")
    axes.tick_params(labelbottom=False, labelleft=first)


def _histogram(axes: Axes, bins: Sequence[Bin], *, first: bool) -> None:
    edges = np.linspace(0, 1, BARS + 1)
    mass = confidence_mass(bins, edges)
    axes.bar(edges[:-1], mass, width=1 / BARS, align="edge", color=PALETTE[0], alpha=0.7)
    axes.set(xlabel="confidence", ylabel="lesions" if first else "")
    axes.locator_params(axis="y", nbins=2, integer=True)
    axes.tick_params(labelbottom=True)


def _head(name: str, bins: Sequence[Bin], error: Interval | None, chance: float | None) -> str:
    told = [f"ECE {stated(error, 3)}"] if error is not None else []
    told += [f"chance {stated(Interval(chance, None, None), 3)}"] if chance is not None else []
    return "\n".join([f"{name}, n = {sum(b.n for b in bins):,.0f}", *([", ".join(told)] if told else [])])
