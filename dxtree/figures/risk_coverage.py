"""How does the error fall when the least sure lesions are left unanswered?"""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from core.errors import ContractError
from dxtree.evaluation.selective import COVERAGES, RiskCoverage
from dxtree.figures.style import PALETTE, blank, drawn, stated, titled

_LINES = ("-", (0, (5, 1)), (0, (2, 1)), (0, (5, 1, 1, 1)))


@drawn
def risk_coverage_figure(curves: Mapping[str, RiskCoverage], *, title: str) -> Figure:
    """Error among the answered (y) over the share answered (x), with 95 % bands, a curve each.

    The legend states the area under each curve with its interval. Raises `ContractError` without a curve.
    """
    if not curves:
        raise ContractError("no curve is given; name at least one")
    figure = blank()
    axes = figure.add_subplot()
    highest = 0.05
    for k, (name, curve) in enumerate(curves.items()):
        colour = PALETTE[k % len(PALETTE)]
        known = [
            (c, b.low, b.high)
            for c, b in zip(COVERAGES, curve.bands, strict=True)
            if b.low is not None and b.high is not None
        ]
        if known:
            shares, low, high = zip(*known, strict=True)
            axes.fill_between(shares, low, high, color=colour, alpha=0.15, lw=0)
            highest = max(highest, *high)
        # The first few lesions make any curve jump; it is drawn from the first band on.
        drawn_from = curve.coverage >= COVERAGES[0]
        axes.plot(
            curve.coverage[drawn_from],
            curve.risk[drawn_from],
            color=colour,
            ls=_LINES[k % len(_LINES)],
            label=f"{name}: area {stated(curve.area, 3)}",
            zorder=3,
        )
    axes.set(xlim=(0, 1.01), ylim=(0, min(1.0, 1.08 * highest)))
    axes.xaxis.set_major_formatter(_short)
    axes.yaxis.set_major_formatter(_short)
    axes.set(xlabel="share of lesions answered, the surest first", ylabel="error among the answered")
    first = next(iter(curves.values()))
    lines = titled(figure, title, f"n = {first.lesions:,}, bands are 95 % intervals")
    figure.legend(loc="outside lower left")
    figure.set_figheight((6.2 + 0.36 * (lines + len(curves))) / 2.54)
    return figure


def _short(number: float, _place: float) -> str:
    return f"{number:.3g}".removeprefix("0") or "0"
