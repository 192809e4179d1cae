"""What became of one case, step by step? Its pictures side by side, and numbers by name as bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from core.errors import ContractError
from dxtree.figures.style import DASHES, FAINT, INK, PALETTE, WIDE, WIDTH, blank, drawn, shortened, titled
from modalities.cnn.preprocess import ByteImage

_LETTERS = 40


@drawn
def pictures_figure(pictures: Mapping[str, ByteImage], *, title: str) -> Figure:
    """Pictures side by side under their names, uint8 H x W x 3, each with its size in pixels.

    Raises `ContractError` for no picture and for another shape or type.
    """
    if not pictures:
        raise ContractError("no picture is given; give at least one by its name")
    for name, pixels in pictures.items():
        if pixels.dtype != "uint8" or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise ContractError(
                f"the picture {name!r} is {pixels.dtype} {pixels.shape}; give uint8, H x W x 3"
            )
    width = WIDTH if len(pictures) == 1 else WIDE
    figure = blank(width, min(7.0, width / len(pictures) + 1.2))
    for axes, (name, pixels) in zip(
        figure.subplots(1, len(pictures), squeeze=False)[0], pictures.items(), strict=True
    ):
        axes.imshow(pixels, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        height, wide = pixels.shape[:2]
        axes.set_xlabel(f"{name}\n{wide} x {height}", size=6.5)
    titled(figure, title)
    return figure


@drawn
def bars_figure(
    rows: Sequence[tuple[str, float]], *, title: str, axis: str, limit: float | None = None, mark: str = ""
) -> Figure:
    """One bar a row, from the top down, each with its value; negative ones go to the left.

    `limit` draws a line there, in the unit of the `axis`; bars beyond it have a second colour and hatches.
    `mark` is the name of a row in bold, such as the truth. Raises `ContractError` for no row, a value that is
    not finite, and a name that stands twice.
    """
    names = [name for name, _ in rows]
    if not rows or len(set(names)) < len(names) or not all(math.isfinite(value) for _, value in rows):
        raise ContractError("bars need at least one row, each with a name of its own and a finite value")
    figure = blank(WIDE, 0.52 * len(rows) + 2.0)
    axes = figure.subplots()
    values = [value for _, value in rows]
    beyond = [limit is not None and value > limit for value in values]
    places = list(range(len(rows)))
    bars = axes.barh(
        places, values, height=0.7, color=[PALETTE[1] if over else PALETTE[0] for over in beyond]
    )
    for bar, over in zip(bars, beyond, strict=True):
        if over:
            bar.set(hatch="////", edgecolor=INK, linewidth=0.4)
    axes.bar_label(bars, fmt="%.2f", padding=3, size=6.5)
    axes.set_yticks(places, labels=[shortened(name, _LETTERS) for name in names])
    for label, name in zip(axes.get_yticklabels(), names, strict=True):
        label.set_fontweight("bold" if name == mark else "normal")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(axis)
    axes.margins(x=0.12)
    axes.axvline(0, color=FAINT, linewidth=0.6)
    if limit is not None:
        axes.axvline(limit, color=FAINT, linestyle=DASHES, linewidth=1)
    titled(figure, title)
    return figure
