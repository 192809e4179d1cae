"""What did preprocessing make of a file? A plane as it was recorded beside what the net sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.errors import MissingExtra
from modalities.stacks import StackRecipe
from modalities.stacks.model import views_of

MOST = 4
"""Planes and views that are drawn, evenly chosen."""


def draw_before_after(recipe: StackRecipe, source: bytes | Path, path: Path) -> None:
    """Upper row: planes of the file, mean of channels. Lower row: views of the net. Written to `path`.

    Grey runs from the 1st to the 99th hundredth of each picture. Raises what `recipe.read` raises, and
    `MissingExtra` without matplotlib.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("the figure", "report") from error
    stack = recipe.read(source)
    views = views_of(recipe, stack)
    planes = [(f"plane {k + 1}", stack.values[k].mean(axis=2)) for k in _chosen(len(stack.values))]
    seen = [(f"view {k + 1}", views[k].mean(axis=0)) for k in _chosen(len(views))]
    figure = Figure(figsize=(2.4 * max(len(planes), len(seen)), 5.4), layout="constrained")
    FigureCanvasAgg(figure)
    for row, pictures in enumerate((planes, seen)):
        for column, (title, picture) in enumerate(pictures):
            axes = figure.add_subplot(
                2, max(len(planes), len(seen)), row * max(len(planes), len(seen)) + column + 1
            )
            low, high = np.quantile(picture, [0.01, 0.99])
            axes.imshow(
                picture,
                cmap="gray",
                vmin=low,
                vmax=max(high, low + 1e-6),
                aspect=_aspect(row, stack.spacing_um),
            )
            axes.set_title(title, fontsize=9)
            axes.set_axis_off()
    figure.suptitle(f"{recipe.title}: as recorded (above), as the net sees it (below)", fontsize=10)
    figure.savefig(path, dpi=110)


def _chosen(number: int) -> list[int]:
    return sorted({round(k) for k in np.linspace(0, number - 1, min(MOST, number))})


def _aspect(row: int, spacing: tuple[float, float] | None) -> float:
    return spacing[0] / spacing[1] if row == 0 and spacing is not None else 1.0
