"""What stands in which line of a CSV file? Cells by the name of their column, without blanks around them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import PathRejected, TaxonomyError

MOST_BYTES = 2**28
"""Size of a file above which it is refused: a hundred times the largest tree in use."""


@dataclass(frozen=True)
class Table:
    """Header and lines. `rows` gives (line number, cells); empty lines are left out."""

    header: tuple[str, ...]
    lines: list[tuple[int, list[str]]]

    def rows(self, *columns: int) -> Iterator[tuple[int, list[str]]]:
        """Line number and the cells of these columns."""
        for number, cells in self.lines:
            yield number, [cells[k] for k in columns]


def read_text(path: Path) -> str:
    """The file as text. Raises `PathRejected` for no regular file or too large a one, `TaxonomyError` for
    bytes that are no UTF-8.
    """
    if not path.is_file():
        raise PathRejected(f"{path.name} is no file")
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PathRejected(
                f"{path.name} is larger than {MOST_BYTES // 2**20} MiB; no tree of diagnoses is"
            )
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path.name}: a tree is read from UTF-8; save it as such") from error
    except OSError as error:
        raise PathRejected(f"{path.name} cannot be read ({type(error).__name__})") from error


def read_table(path: Path) -> tuple[Table, list[tuple[int, str]]]:
    """The table, and the lines that have another number of cells than the header with what is wrong.

    Raises what `read_text` raises, and `TaxonomyError` for no header or two columns of one name.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    header: tuple[str, ...] = ()
    lines: list[tuple[int, list[str]]] = []
    wrong: list[tuple[int, str]] = []
    end = 0
    try:
        for cells in reader:
            number, end = end + 1, reader.line_num  # a cell may hold line breaks: the line where it begins
            if not any(cells):
                continue
            stripped = [cell.strip() for cell in cells]
            if not header:
                header = tuple(stripped)
            elif len(stripped) != len(header):
                wrong.append((number, f"has {len(stripped)} cells, the header has {len(header)}"))
            else:
                lines.append((number, stripped))
    except csv.Error as error:
        raise TaxonomyError(f"{path.name}, line {reader.line_num}: no CSV ({error})") from error
    if not header:
        raise TaxonomyError(f"{path.name} is empty; a table begins with the names of its columns")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise TaxonomyError(f"{path.name}: column {twice[0]!r} stands twice in the header")
    return Table(header, lines), wrong
