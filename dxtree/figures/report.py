"""How do texts, tables and figures become one page that needs nothing else and tells nobody?

The page is one HTML file: figures stand in it as data, nothing is fetched, no script runs, and a content
security policy forbids both. Every text is escaped.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from core.diagnosis import RESEARCH_USE
from core.errors import ContractError
from core.files import write_whole
from dxtree.figures.style import png, svg

_MEDIA = {"svg": "image/svg+xml", "png": "image/png"}


@dataclass(frozen=True)
class Text:
    """Paragraphs of plain text."""

    paragraphs: tuple[str, ...]

    def __init__(self, *paragraphs: str) -> None:
        object.__setattr__(self, "paragraphs", paragraphs)


@dataclass(frozen=True)
class Command:
    """The command that made the numbers below it, one line or several."""

    text: str


@dataclass(frozen=True)
class Table:
    """A caption, the head and rows of cells; the first cell of a row is its name.

    Raises `ContractError` without a caption or a head, or for a row of another length.
    """

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(tuple(map(str, row)) for row in self.rows))
        if not self.caption.strip() or not self.head:
            raise ContractError("a table needs a caption and a head: a reader must know what it holds")
        for row in self.rows:
            if len(row) != len(self.head):
                raise ContractError(
                    f"table {self.caption!r}: a row has {len(row)} cells and the head {len(self.head)}"
                )

    def numeric(self, column: int) -> bool:
        """Whether a column holds numbers, which are set flush right."""
        cells = [row[column] for row in self.rows]
        return column > 0 and all(c.lstrip("+-−.<≤").split(" ")[0][:1].isdigit() or c in "-—" for c in cells)


@dataclass(frozen=True)
class FigureBlock:
    """A drawn figure, what it shows in words for those who cannot see it, and its caption.

    `kind` svg for drawings, png for photographs and thousands of points. Raises `ContractError` where `alt`
    or `caption` is empty.
    """

    figure: Figure
    alt: str
    caption: str
    kind: Literal["svg", "png"] = "svg"

    def __post_init__(self) -> None:
        if not self.alt.strip() or not self.caption.strip():
            raise ContractError("a figure needs an alt text and a caption: say in words what it shows")
        if self.kind not in _MEDIA:
            raise ContractError(f"a figure is svg or png, not {self.kind!r}")

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        content = svg(self.figure) if self.kind == "svg" else png(self.figure, dpi=200)
        return f"data:{_MEDIA[self.kind]};base64,{base64.b64encode(content).decode('ascii')}"

    @property
    def width(self) -> int:
        """Width on the page, CSS pixels: larger than in print, as eyes are further from a screen."""
        return round(self.figure.get_figwidth() * 96 * 1.45)


Block = Text | Command | Table | FigureBlock


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]

    def __init__(self, title: str, *blocks: Block) -> None:
        object.__setattr__(self, "title", title)
        object.__setattr__(self, "blocks", blocks)


def write_report(path: str | Path, title: str, sections: Sequence[Section], *, lead: str = "") -> None:
    """Writes the page; the file is whole or absent, and its bytes depend on the arguments alone.

    `lead` is a sentence below the title. Raises what `page` and `style.save` raise.
    """
    write_whole(Path(path), page(title, sections, lead=lead).encode("utf-8"))


def page(title: str, sections: Sequence[Section], *, lead: str = "") -> str:
    """The HTML. Raises `ContractError` without a title, a section, or for a section without a title."""
    if not title.strip() or not sections or not all(s.title.strip() for s in sections):
        raise ContractError("a report needs a title and at least one section, each with a title")
    environment = Environment(
        loader=PackageLoader("dxtree.figures", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    css = Path(__file__).with_name("templates").joinpath("report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    kinds = {Text: "text", Command: "command", Table: "table", FigureBlock: "figure"}
    return environment.get_template("report.html.j2").render(
        title=title,
        lead=lead,
        sections=[(s.title, [(kinds[type(block)], block) for block in s.blocks]) for s in sections],
        css=Markup(css),  # noqa: S704 - our own file, and the policy names its digest
        digest=digest,
        research_use=RESEARCH_USE,
    )
