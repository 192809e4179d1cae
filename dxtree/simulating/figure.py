"""What did preprocessing make of a file? Planes as they were recorded above what the net sees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import MissingExtra
from modalities.stacks import FloatArray, Stack, StackRecipe
from modalities.stacks.model import views_of

MOST = 4
"""Planes, views and channels that are drawn, evenly chosen; half of it of planes that are low and wide."""
LOW = 0.4
"""Height of a plane by its width below which it counts as low and wide."""

COLOUR = ("red", "green", "blue")
CELL, TITLE = 1.9, 0.18
"""Inches: width of one of `MOST` pictures side by side, height of the line above it."""

Picture = npt.NDArray[np.floating[Any]]
Row = Sequence[tuple[str, Picture]]


def draw_before_after(recipe: StackRecipe, source: bytes | Path, path: Path, *, dpi: int = 110) -> None:
    """Upper row: planes of the file. Below: views of the net, a row a channel. Written to `path`.

    Planes have the proportions of the skin where the file gives the distances of its pixels, else those of
    the pixels; red, green and blue are drawn in colour, other channels as their mean, or one by one where
    there is one plane only. Views are drawn cell by cell, as square as the net sees them; a channel that is
    the same all over each view is left out. Grey runs from the 1st to the 99th hundredth of each picture.
    Raises what `recipe.read` raises, and `MissingExtra` without
    matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise MissingExtra("the figure", "report") from error
    stack = recipe.read(source)
    spacing = stack.spacing_um or (1.0, 1.0)
    tall = stack.values.shape[1] * spacing[0] / (stack.values.shape[2] * spacing[1])
    rows = [_recorded(stack, MOST // 2 if tall < LOW else MOST), *_seen(views_of(recipe, stack))]
    columns = max(len(row) for row in rows)
    width = CELL * max(columns, 2)
    across = [max(len(row), columns // 2) for row in rows]
    ratios = (tall, *[1.0] * (len(rows) - 1))
    heights = [width / n * ratio + TITLE for n, ratio in zip(across, ratios, strict=True)]
    close = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure(figsize=(width, sum(heights) + 0.5), layout=close)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(rows), 1, height_ratios=heights)
    for at, row in enumerate(rows):
        line = grid[at, 0].subgridspec(1, across[at])
        for column, (title, picture) in enumerate(row):
            axes = figure.add_subplot(line[0, column])
            low, high = _greys(picture)
            axes.imshow(
                picture,
                cmap="gray",
                vmin=low,
                vmax=high,
                aspect=spacing[0] / spacing[1] if at == 0 else 1.0,
            )
            axes.set_title(title, fontsize=8, pad=2)
            axes.set_axis_off()
    figure.suptitle(f"{recipe.title}\nas recorded (above), as the net sees it (below)", fontsize=9)
    figure.savefig(path, dpi=dpi)


def _recorded(stack: Stack, most: int) -> Row:
    chosen = _chosen(len(stack.values), most)
    names = tuple(channel.name for channel in stack.channels)
    if names == COLOUR:
        full = 2**stack.bits - 1 if stack.bits else float(stack.values.max()) or 1.0
        return [(f"plane {k + 1}", np.clip(stack.values[k] / full, 0, 1)) for k in chosen]
    if len(stack.values) == 1 and len(names) > 1:
        return [(names[c], stack.values[0, :, :, c]) for c in _chosen(len(names), most)]
    return [(f"plane {k + 1}", stack.values[k].mean(axis=2)) for k in chosen]


def _seen(views: FloatArray) -> list[Row]:
    """Channels run across where there is one view only, else down."""
    telling = np.flatnonzero(np.ptp(views, axis=(2, 3)).any(axis=0))
    channels = telling[_chosen(len(telling), MOST)] if len(telling) else np.zeros(1, int)
    if len(views) == 1:
        return [[(f"channel {c + 1}", views[0, c]) for c in channels]]
    several = views.shape[1] > 1
    return [
        [(f"view {k + 1}" + f", channel {c + 1}" * several, views[k, c]) for k in _chosen(len(views), MOST)]
        for c in channels
    ]


def _greys(picture: Picture) -> tuple[float, float]:
    """What is black and what is white; an even picture is grey."""
    for low, high in (np.quantile(picture, [0.01, 0.99]), (picture.min(), picture.max())):
        if high > low:
            return float(low), float(high)
    return float(low) - 1, float(high) + 1


def _chosen(number: int, most: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(0, number - 1, min(most, number))})
