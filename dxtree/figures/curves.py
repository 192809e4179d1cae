"""Which sensitivity costs which specificity, and does a stated probability come true?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from core.errors import ContractError
from core.tree import FloatArray
from dxtree.binary import Curve, OperatingPoint, ReaderPoint
from dxtree.binary.readers import OTHER_IMAGES
from dxtree.evaluation import Interval
from dxtree.evaluation.calibration import BINS, reliability
from dxtree.evaluation.intervals import wilson
from dxtree.evaluation.weighted import BoolArray
from dxtree.figures.style import (
    DASHES,
    FAINT,
    INK,
    PALETTE,
    PAPER,
    READER,
    READER_MEAN,
    blank,
    drawn,
    stated,
    titled,
    unit_axes,
)

_COLOURS = tuple(c for c in PALETTE if c != "#009E73")
"""Without the palette's green, which stands beside the green of the readers' mean."""

_LINES = ("-", (0, (5, 1)), (0, (2, 1)), (0, (5, 1, 1, 1)))


@drawn
def sensitivity_specificity_figure(
    curves: Mapping[str, Curve],
    *,
    title: str,
    readers: Sequence[ReaderPoint] = (),
    points: Sequence[OperatingPoint] = (),
) -> Figure:
    """Specificity (y) over sensitivity (x), as in Esteva et al. 2017.

    `curves` by name, each a step function with its AUC and 95 % interval in the legend. Readers are red
    points, their mean a green diamond with bars of one standard deviation where they are known; where any of
    them read other images the figure says so. `points`: operating points to mark. Raises `ContractError`
    without a curve.
    """
    if not curves:
        raise ContractError("no curve is given; name at least one")
    first = next(iter(curves.values()))
    figure = blank()
    axes = figure.add_subplot()
    unit_axes(axes, "sensitivity", "specificity")
    shown: list[Artist] = []
    for k, (name, curve) in enumerate(curves.items()):
        # Straight between two points: the area below is then the AUC, ties counted half.
        shown += axes.plot(
            curve.sensitivity,
            curve.specificity,
            color=_COLOURS[k % len(_COLOURS)],
            ls=_LINES[k % len(_LINES)],
            label=f"{name}: AUC {stated(curve.auc)}",
            zorder=3,
        )
    x, y = ([getattr(p, side).value for p in points] for side in ("sensitivity", "specificity"))
    marks = axes.plot(x, y, "o", mfc=PAPER, mec=INK, ms=4, zorder=4, label=_asked(points))
    shown += [*(marks if points else []), *_readers(axes, readers)]
    lines = titled(figure, title, f"n = {first.positives:,} positive + {first.negatives:,} negative")
    figure.legend(handles=shown, loc="outside lower left")
    # Room for a square: an axis of fixed aspect would let the legend run into its label.
    figure.set_figheight((7.6 + 0.36 * (lines + len(shown))) / 2.54)
    return figure


@drawn
def reliability_figure(
    confidence: FloatArray,
    correct: BoolArray,
    *,
    title: str,
    bins: int = BINS,
    error: Interval | None = None,
) -> Figure:
    """Share that came true over the probability that was stated, in bins of equal mass with Wilson intervals.

    `confidence`: a probability a lesion, in [0, 1]; `correct`: whether it came true. Below, where the
    probabilities lie. `error`: the calibration error to state. No bin holds fewer than five lesions.
    Raises `ContractError` for arrays of other shapes or without any lesion.
    """
    if confidence.shape != correct.shape or confidence.ndim != 1 or not len(confidence):
        raise ContractError(
            f"confidence {confidence.shape} and correct {correct.shape} are two rows of one length, not empty"
        )
    used = max(1, min(bins, len(confidence) // 5))
    sure, right = reliability(confidence, correct, used)
    low, high = wilson(right, len(confidence) / used)
    figure = blank(height=9.4)
    axes, below = figure.subplots(2, 1, height_ratios=[5, 1], sharex=True)
    axes.plot([0, 1], [0, 1], color=FAINT, lw=0.8, ls=DASHES, label="perfect")
    bars = np.abs(np.stack([low, high]) - right)
    label = f"{used} bins of {len(confidence) / used:.0f} lesions, 95 % intervals"
    axes.errorbar(
        sure, right, yerr=bars, fmt="o-", color=PALETTE[0], ecolor=PALETTE[0], elinewidth=0.8, label=label
    )
    unit_axes(axes, "", "share that came true")
    stated_error = f", ECE {stated(error, 3)}" if error is not None else ""
    titled(figure, title, f"n = {len(confidence):,}{stated_error}")
    axes.legend(loc="upper left")
    below.hist(confidence, bins=np.linspace(0, 1, 41).tolist(), color=PALETTE[0], alpha=0.7)
    below.set(xlabel="probability stated", ylabel="lesions")
    figure.align_ylabels([axes, below])
    return figure


def _asked(points: Sequence[OperatingPoint]) -> str:
    aims = [f"{p.aim} {p.asked:g}".replace("0.", ".") for p in points]
    return f"threshold for {', '.join(aims)}" if len(aims) < 2 else f"{len(aims)} operating points"


def _readers(axes: Axes, readers: Sequence[ReaderPoint]) -> list[Artist]:
    ones, means = [r for r in readers if not r.is_mean], [r for r in readers if r.is_mean]
    shown: list[Artist] = []
    if ones:
        x, y = [r.sensitivity for r in ones], [r.specificity for r in ones]
        shown += axes.plot(x, y, "o", color=READER, ms=3, zorder=5, label=f"{len(ones)} readers")
    for mean in means:
        known = mean.sensitivity_sd is not None or mean.specificity_sd is not None
        axes.errorbar(
            [mean.sensitivity],
            [mean.specificity],
            xerr=None if mean.sensitivity_sd is None else [mean.sensitivity_sd],
            yerr=None if mean.specificity_sd is None else [mean.specificity_sd],
            fmt="D",
            color=READER_MEAN,
            ms=5,
            capsize=2,
            zorder=6,
        )
        label = "mean of readers" + (", bars: 1 SD" if known else "")
        shown.append(Line2D([], [], color=READER_MEAN, marker="D", ls="", ms=5, label=label))
    if any(not r.same_images for r in readers):
        shown.append(Line2D([], [], ls="", label=f"readers: {OTHER_IMAGES}"))
    return shown
