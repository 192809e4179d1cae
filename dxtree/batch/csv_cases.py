"""How is a CSV file of cases read, one row at a time and from any row on?"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from core.case import Case
from core.errors import EmptyInput, InputError
from dxtree.batch.rows import Block, Place, Row
from dxtree.batch.tabular import ID, check_columns, images_of, tabular_case
from dxtree.batch.text import Lines


class CsvCases:
    """A CSV file of cases: UTF-8, commas, a first line that names the columns. Satisfies `Reader`."""

    kind = "csv"

    def __init__(self, path: Path, root: Path, modalities: Collection[str]) -> None:
        self.path, self._root = path, root
        with path.open("rb") as file:
            lines, rows = self._rows(file)
            with self._parsing(lines):
                self._columns = next(rows, [])
            self._start = lines.offset
        if not self._columns:
            raise EmptyInput(f"{path.name} is empty; its first line must name the columns")
        check_columns(self._columns, modalities, path.name)
        self._images = [name for name in self._columns if name in modalities]

    def scan(self) -> Iterator[Place]:
        """Every row's place. Raises `InputError` for a ragged or empty line, or an open quote."""
        with self.path.open("rb") as file:
            lines, rows = self._rows(file)
            with self._parsing(lines):
                next(rows)
                offset = lines.offset
                for fields in rows:
                    if len(fields) != len(self._columns):
                        raise InputError(
                            f"{self.path.name}, line {lines.number} has {len(fields)} field(s), the "
                            f"first has {len(self._columns)}; quote a field with a comma, drop empty lines"
                        )
                    raw = dict(zip(self._columns, fields, strict=True))
                    yield Place(raw[ID], offset, tuple(images_of(raw, self._images)))
                    offset = lines.offset

    def read(self, block: Block) -> Iterator[Row]:
        """The rows of a block, in order."""
        with self.path.open("rb") as file:
            lines, rows = self._rows(file, block.offset)
            with self._parsing(lines):
                for number, fields in enumerate(islice(rows, block.rows), start=block.first):
                    raw = dict(zip(self._columns, fields, strict=False))
                    yield Row(number, raw.get(ID, ""), raw)

    def case(self, row: Row) -> Case:
        """The row as a case; see `tabular_case`."""
        return tabular_case(row, self._images, self._root)

    def _rows(self, file: IO[bytes], offset: int = 0) -> tuple[Lines, Iterator[list[str]]]:
        lines = Lines(file, self.path.name, offset=offset)
        return lines, csv.reader(lines, strict=True)

    @contextmanager
    def _parsing(self, lines: Lines) -> Iterator[None]:
        try:
            yield
        except csv.Error:
            raise InputError(
                f"{self.path.name}, line {lines.number} cannot be read as CSV: "
                "a quote is open or a field too long"
            ) from None
