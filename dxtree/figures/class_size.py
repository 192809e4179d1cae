"""Does a finer partition of the tree make better answers at its coarse levels?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.errors import ContractError
from core.tree import FloatArray
from dxtree.evaluation import Interval
from dxtree.figures.style import (
    DASHES,
    FAINT,
    MARKERS,
    PALETTE,
    blank,
    drawn,
    titled,
)


@drawn
def class_size_figure(
    sizes: Sequence[int],
    series: Mapping[str, Mapping[str, Sequence[Interval]]],
    *,
    title: str,
    classes: Sequence[int] = (),
    bands: Mapping[str, Mapping[str, Interval]] | None = None,
) -> Figure:
    """Scores over the maximum class size of the partition, on a logarithmic axis; one panel a level.

    `series`: panel ("level 1") to metric ("accuracy") to one value with its interval for each of `sizes`.
    `bands`: panel to metric to the value of a net trained on the coarse labels themselves, drawn as a
    horizontal band of the same colour. `classes`: number of training classes at each size, written above.
    Raises `ContractError` where a series is not as long as `sizes`, or a size is below 1.
    """
    if not sizes or min(sizes) < 1 or (classes and len(classes) != len(sizes)):
        raise ContractError("sizes are whole numbers >= 1, at least one, and classes one number for each")
    for panel, lines in series.items():
        for name, values in lines.items():
            if len(values) != len(sizes):
                raise ContractError(f"{panel}, {name}: {len(values)} values for {len(sizes)} sizes")
    figure = blank(height=3.0 + 4.6 * len(series))
    panels = figure.subplots(len(series), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (panel, lines) in zip(panels, series.items(), strict=True):
        for k, (name, values) in enumerate(lines.items()):
            _sized(axes, sizes, values, k, (bands or {}).get(panel, {}).get(name), len(lines))
        axes.set_ylabel(panel)
        axes.set_xscale("log")
        axes.set_xticks(list(sizes), labels=[f"{s:,}" for s in sizes])
        axes.minorticks_off()
        axes.set_xlim(min(sizes) / 1.35, max(sizes) * 1.35)
    if classes:
        above = panels[0].secondary_xaxis("top")
        above.set_xticks(list(sizes), labels=[str(c) for c in classes])
        above.minorticks_off()
        above.set_xlabel("training classes")
        above.spines["top"].set_visible(False)
    panels[-1].set_xlabel("maximum class size, images")
    titled(figure, title)
    figure.legend(handles=_metrics(series, bands), loc="outside lower left")
    return figure


def _sized(
    axes: Axes,
    sizes: Sequence[int],
    values: Sequence[Interval],
    number: int,
    band: Interval | None,
    of: int,
) -> None:
    """One metric with bars, moved aside a little so that bars of two metrics do not cover each other."""
    colour, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    x = np.asarray(sizes, np.float64) * 1.035 ** (number - (of - 1) / 2)
    y, low, high = (_numbers(values, field) for field in ("value", "low", "high"))
    bars = np.nan_to_num(np.stack([y - low, high - y]))
    axes.errorbar(x, y, yerr=bars, fmt=f"{marker}-", color=colour, elinewidth=0.8)
    if band is None or band.value is None:
        return
    axes.axhline(band.value, color=colour, lw=0.9, ls=DASHES)
    if band.low is not None and band.high is not None:
        axes.axhspan(band.low, band.high, color=colour, alpha=0.12, lw=0)


def _metrics(
    series: Mapping[str, Mapping[str, object]], bands: Mapping[str, Mapping[str, Interval]] | None
) -> list[Artist]:
    """The legend of the metrics, which all panels share."""
    names = list(next(iter(series.values())))
    styles = zip(names, PALETTE, MARKERS, strict=False)
    shown: list[Artist] = [Line2D([], [], color=c, marker=m, label=name) for name, c, m in styles]
    if bands:
        text = "the same of a net trained on the coarse labels"
        shown.append(Line2D([], [], color=FAINT, ls=DASHES, lw=0.9, label=text))
    return shown


def _numbers(values: Sequence[Interval], field: str) -> FloatArray:
    return np.array([getattr(v, field) for v in values], np.float64)
