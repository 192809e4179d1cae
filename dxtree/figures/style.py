"""What do all figures share? One size, one palette, and files whose bytes never differ between two runs.

Every drawing function is pure: arrays in, `matplotlib.figure.Figure` out, without pyplot and without a trace
in matplotlib's settings. Widths are those of print: a figure is `WIDTH` centimetres wide and readable there.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from core.errors import ContractError
from core.files import write_whole
from dxtree.evaluation import Interval

WIDTH, WIDE = 8.0, 17.0
"""Centimetres: one column of a paper, and its full width."""

INK, FAINT, GRID, PAPER = "#1a1a1a", "#5f5f5f", "#d9d9d9", "#ffffff"

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#8A6D00", "#000000", "#E69F00")
"""Okabe and Ito (2008), told apart with any kind of colour vision; the darkest of them first."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""A second cue beside the colour."""

DASHES = (0, (4, 2))
"""What is only there to compare with."""

READER, READER_MEAN = "#C8102E", "#1B7F3B"
"""Red and green as in Esteva et al. 2017; the mean is also a diamond, so that nobody needs the hue."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.4,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "svg.fonttype": "path",  # outlines: the same picture where the font is missing
    "svg.hashsalt": "dxtree",  # ids from the content and not from a random number
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollars in it is a name
}
_PNG_DPI = 300
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))

P = ParamSpec("P")


def drawn(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Runs a drawing function in the house style, whatever the user's own settings are."""

    @wraps(draw)
    def inside(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", _STYLE]):
            figure = draw(*args, **kwargs)
            _settle(figure)
            return figure

    return inside


def blank(width: float = WIDTH, height: float = 7.0) -> Figure:
    """An empty figure of this size in centimetres, which finds room for labels by itself."""
    figure = Figure(figsize=(width / 2.54, height / 2.54), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03)  # type: ignore[union-attr, call-arg]
    return figure


def titled(figure: Figure, title: str, detail: str = "") -> int:
    """Puts a wrapped title and a detail, such as n, above the drawing; returns how many lines they take."""
    width = int(figure.get_figwidth() * 2.54 * 5.6)
    lines = [*textwrap.wrap(title, width), *textwrap.wrap(detail, round(width * 1.15))]
    lead = len(textwrap.wrap(title, width))
    above = figure.suptitle("\n".join(lines[:lead]), x=0.01, ha="left", size=8.5, weight="bold")
    above.set_linespacing(1.15)
    if lines[lead:]:
        figure.axes[0].set_title("\n".join(lines[lead:]), loc="left")
    return len(lines)


def svg(figure: Figure) -> bytes:
    """The figure as SVG: text as outlines, no date, no random id, nothing but the drawing."""
    text = _rendered(figure, "svg", metadata=_NO_METADATA).decode("utf-8")
    return text[text.index("<svg") :].encode("utf-8")


def png(figure: Figure, dpi: int = _PNG_DPI) -> bytes:
    """The figure as PNG, without any metadata."""
    return _rendered(figure, "png", dpi=dpi, metadata={"Software": None})


def save(figure: Figure, path: str | Path) -> None:
    """Writes `.svg` or `.png`; the file is whole or absent.

    Raises `ContractError` for another suffix, `OutOfSpace` on a full disk and `PathRejected` where the file
    cannot be written.
    """
    target = Path(path)
    kinds = {".svg": svg, ".png": png}
    if target.suffix not in kinds:
        raise ContractError(f"a figure is written as .svg or .png, not {target.suffix!r}; name such a file")
    write_whole(target, kinds[target.suffix](figure))


def stated(found: Interval, places: int = 2) -> str:
    """`.91 [.88, .94]`; "not defined" where there is no value."""
    if found.value is None:
        return "not defined"
    numbers = [n for n in (found.value, found.low, found.high) if n is not None]
    texts = [_short(n, places) for n in numbers]
    return texts[0] if len(texts) < 3 else f"{texts[0]} [{texts[1]}, {texts[2]}]"


def shortened(text: str, letters: int) -> str:
    """The text, without its middle where it is longer."""
    half = letters // 2
    return text if len(text) <= letters else f"{text[: half - 1].rstrip()}…{text[-half:].lstrip()}"


def unit_axes(axes: Axes, x: str, y: str) -> None:
    """Both axes from 0 to 1, with the same ticks."""
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    axes.set_xticks(ticks, labels=[_short(t, 1) for t in ticks])
    axes.set_yticks(ticks, labels=[_short(t, 1) for t in ticks])


def _settle(figure: Figure) -> None:
    """Lays the figure out once, and for good.

    The solver of the layout answers in another last digit from run to run, and ids in an SVG hash all digits.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6).tolist())


def _short(number: float, places: int) -> str:
    text = f"{number:.{places}f}"
    if number == int(number) and places == 1:
        return str(int(number))
    return text[1:] if text.startswith("0.") else text


def _rendered(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", _STYLE]):
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()
