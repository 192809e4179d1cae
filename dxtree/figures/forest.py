"""Which differences are real? Each with its interval, on one axis with zero in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.errors import ContractError
from dxtree.evaluation import Interval
from dxtree.figures.style import DASHES, FAINT, PALETTE, WIDE, blank, drawn, shortened, titled

_BETTER, _WORSE = PALETTE[2], PALETTE[1]
_LETTERS = 46
_ROW = 0.52
"""Height of a row in cm."""


@drawn
def forest_figure(
    panels: Mapping[str, Sequence[tuple[str, Interval]]],
    *,
    title: str,
    higher_is_better: Mapping[str, bool],
) -> Figure:
    """Paired differences, one panel a metric over the same rows, the first row at the top.

    An interval that excludes zero is coloured: one colour for better, another for worse, whichever way the
    metric runs (`higher_is_better` by panel); one that holds zero is grey. A difference without an interval
    is left out of its row. Raises `ContractError` without a panel or where rows differ between panels.
    """
    rows = [[name for name, _ in lines] for lines in panels.values()]
    if not rows or not rows[0] or any(r != rows[0] for r in rows):
        raise ContractError("a forest plot needs one panel at least, and the same rows in each")
    figure = blank(WIDE, 2.6 + _ROW * len(rows[0]))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for one, (panel, lines) in zip(axes, panels.items(), strict=True):
        _panel(one, [found for _, found in lines], higher_is_better[panel])
        one.set_xlabel(panel)
    axes[0].set_yticks(range(len(rows[0])), labels=[shortened(name, _LETTERS) for name in rows[0]])
    axes[0].set_ylim(len(rows[0]) - 0.4, -0.6)
    titled(figure, title)
    return figure


def _panel(axes: Axes, found: Sequence[Interval], higher: bool) -> None:
    axes.axvline(0, color=FAINT, ls=DASHES, lw=0.9, zorder=1)
    for k, one in enumerate(found):
        if one.value is None or one.low is None or one.high is None:
            continue
        sign = (one.low > 0) - (one.high < 0)
        colour = FAINT if not sign else _BETTER if (sign > 0) == higher else _WORSE
        axes.plot([one.low, one.high], [k, k], color=colour, lw=1.6, solid_capstyle="round", zorder=2)
        axes.plot([one.value], [k], "o", color=colour, ms=4, zorder=3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", lw=0.4, alpha=0.5)
    reach = max((abs(v) for one in found for v in (one.low, one.high) if v is not None), default=0.01)
    axes.set_xlim(-reach * 1.15, reach * 1.15)
    axes.locator_params(axis="x", nbins=4, prune="both")
