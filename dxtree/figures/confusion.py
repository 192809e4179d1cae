"""Which node is taken for which? A row-normalised confusion matrix in the order of the tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from core.errors import ContractError
from core.partition import RESIDUAL_MARK
from core.taxonomy import IntArray, Taxonomy
from core.tree import FloatArray
from dxtree.figures.style import FAINT, INK, PAPER, WIDE, blank, drawn, shortened, titled

_SHADES = LinearSegmentedColormap.from_list("shares", [PAPER, "#56B4E9", "#0072B2", "#00304D"])
_FEW = 12
"""Up to so many classes every cell holds its share."""


def confusion_counts(truth: IntArray, predicted: IntArray, classes: int) -> IntArray:
    """Lesions by true (row) and predicted (column) class. Raises `ContractError` for a foreign index."""
    both = np.concatenate([truth, predicted])
    if truth.shape != predicted.shape or truth.ndim != 1 or ((both < 0) | (both >= classes)).any():
        raise ContractError(f"truth and prediction are two rows of indices below {classes}, of one length")
    return np.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


@drawn
def confusion_figure(counts: IntArray, nodes: Sequence[str], taxonomy: Taxonomy, *, title: str) -> Figure:
    """A confusion matrix, each row scaled to sum 1, with counts and brackets of the tree at the margin.

    `counts`: classes x classes, rows the truth; `nodes` names the classes in the order of the counts, by a
    node's id or, for the residual of a split node, by that of its training class. The figure orders them
    depth first, whatever order they come in, and numbers rows and columns. A row without any lesion stays
    blank. Up to 12 classes every cell holds its share in per cent; more take the full width of a page.

    Raises `ContractError` for counts of another shape or a class named twice, `UnknownNode` for a name.
    """
    order = _depth_first(counts, nodes, taxonomy)
    counts, names = counts[np.ix_(order, order)], [nodes[k] for k in order]
    size, few = len(names), len(names) <= _FEW
    width, row = (12.5, 0.6) if few else (WIDE, 0.31)
    figure = blank(width, row * size + (4.0 if few else 3.2))
    axes, beside = figure.subplots(1, 2, sharey=True, width_ratios=[4.2, 3.3] if few else [10.2, 2.8])
    total = counts.sum(axis=1)
    shares = np.where(total[:, None] > 0, counts / np.maximum(total, 1)[:, None], np.nan)
    mesh = axes.pcolormesh(shares, cmap=_SHADES, vmin=0, vmax=1, edgecolors="#e8e8e8", linewidth=0.3)
    axes.set(xlim=(0, size), ylim=(size, 0), xlabel="predicted", ylabel="true")
    axes.grid(visible=False)
    axes.tick_params(length=0, labelsize=7 if few else 5.6)
    middle = np.arange(size) + 0.5
    rows = [f"{_text(name, taxonomy)}  {k}" for k, name in enumerate(names, start=1)]
    axes.set_yticks(middle, labels=rows)
    axes.set_xticks(middle, labels=list(map(str, range(1, size + 1))), rotation=0 if few else 90)
    if few:
        _numbers(axes, shares)
    _margin(beside, total, names, taxonomy, 6.5 if few else 5.6)
    right = f"{int(np.trace(counts)):,} on the diagonal"
    titled(figure, title, f"n = {int(total.sum()):,}, {right}; rows sum to 100 %")
    bar = figure.colorbar(mesh, ax=[axes, beside], location="bottom", shrink=0.4, aspect=40, pad=0.01)
    bar.set_label("share of the row")
    bar.outline.set_visible(False)
    return figure


def node_of(name: str, taxonomy: Taxonomy) -> str:
    """The node of a class: itself, or the split node whose residual it is. Raises `UnknownNode`."""
    if name in taxonomy or not name.endswith(RESIDUAL_MARK):
        taxonomy.position(name)
        return name
    taxonomy.position(name.removesuffix(RESIDUAL_MARK))
    return name.removesuffix(RESIDUAL_MARK)


def _depth_first(counts: IntArray, nodes: Sequence[str], taxonomy: Taxonomy) -> list[int]:
    if counts.shape != (len(nodes), len(nodes)) or not len(nodes) or (counts < 0).any():
        raise ContractError(f"counts are {len(nodes)} x {len(nodes)} numbers >= 0, not {counts.shape}")
    if len(set(nodes)) < len(nodes):
        raise ContractError("a class is named twice; every row has a name of its own")
    return sorted(range(len(nodes)), key=lambda k: taxonomy.position(node_of(nodes[k], taxonomy)))


def _text(name: str, taxonomy: Taxonomy) -> str:
    node = node_of(name, taxonomy)
    return shortened(taxonomy.label(node) + ("" if node == name else " (rest)"), 34)


def _numbers(axes: Axes, shares: FloatArray) -> None:
    """Per cent in every cell that is not zero."""
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            text = f"{100 * share:.0f}" if share >= 0.005 else "<1"
            colour = PAPER if share > 0.45 else INK
            axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", size=6.5, color=colour)


def _margin(axes: Axes, total: IntArray, names: Sequence[str], taxonomy: Taxonomy, size: float) -> None:
    """Beside the matrix: lesions of each row, then brackets over the nodes of level 2 and of level 1."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.text(0.22, len(names) + 0.2, "n", ha="right", va="top", size=size, style="italic")
    for row, count in enumerate(total.tolist()):
        axes.text(0.22, row + 0.5, f"{count:,}", ha="right", va="center", size=size)
    for depth, x in ((2, 0.31), (1, 0.36)):
        for node, first, last in _runs(names, taxonomy, depth):
            if depth == 2 and last - first < 2:
                continue
            up, down = first + 0.15, last - 0.15
            axes.plot([x - 0.025, x, x, x - 0.025], [up, up, down, down], color=FAINT, lw=0.7)
            if depth == 1:
                text = shortened(taxonomy.label(node), 16)
                axes.text(x + 0.03, (up + down) / 2, text, va="center", size=size)


def _runs(names: Sequence[str], taxonomy: Taxonomy, depth: int) -> Iterator[tuple[str, int, int]]:
    """Each node of a level with the range of rows below it."""
    above = [taxonomy.ancestor_at(node_of(name, taxonomy), depth) for name in names]
    start = 0
    for row in range(1, len(above) + 1):
        if row == len(above) or above[row] != above[start]:
            if (node := above[start]) is not None:
                yield node, start, row
            start = row
