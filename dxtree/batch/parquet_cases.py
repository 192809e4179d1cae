"""How is a Parquet file of cases read, in row groups and from any row on?"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from core.case import FIELDS, Case
from core.errors import InputError, MissingExtra
from dxtree.batch.rows import Block, Place, Row
from dxtree.batch.tabular import ID, check_columns, images_of, tabular_case

AT_ONCE = 1024
"""Rows that are held at a time."""


class ParquetCases:
    """A Parquet file of cases. Satisfies `Reader`.

    `id`, `sex`, `site` hold texts, `age_years` numbers, a column of images texts or lists of texts; null is
    not known. Raises `MissingExtra` without pyarrow.
    """

    kind = "parquet"

    def __init__(self, path: Path, root: Path, modalities: Collection[str]) -> None:
        if find_spec("pyarrow") is None:
            raise MissingExtra("a Parquet file of cases", "parquet")
        self.path, self._root = path, root
        with self._opened() as file:
            schema = file.schema_arrow
            self._groups = [file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)]
        check_columns(schema.names, modalities, path.name)
        self._images = [name for name in schema.names if name in modalities]
        for name in schema.names:
            self._check_type(name, schema.field(name).type)

    def scan(self) -> Iterator[Place]:
        """Every row's place. Raises `InputError` where the file cannot be read or an id is null."""
        with self._opened() as file:
            for raw in self._raws(file, range(len(self._groups))):
                yield Place(self._id(raw), 0, tuple(images_of(raw, self._images)))

    def read(self, block: Block) -> Iterator[Row]:
        """The rows of a block, in order; row groups before it are not read."""
        group, before = 0, 0
        while before + self._groups[group] < block.first:
            before += self._groups[group]
            group += 1
        skipped = block.first - 1 - before
        with self._opened() as file:
            raws = self._raws(file, range(group, len(self._groups)))
            for number, raw in enumerate(islice(raws, skipped, skipped + block.rows), start=block.first):
                yield Row(number, self._id(raw), raw)

    def case(self, row: Row) -> Case:
        """The row as a case; see `tabular_case`."""
        return tabular_case(row, self._images, self._root)

    def _raws(self, file: Any, groups: range) -> Iterator[dict[str, Any]]:
        for batch in file.iter_batches(batch_size=AT_ONCE, row_groups=list(groups), use_threads=False):
            yield from batch.to_pylist()

    def _id(self, raw: dict[str, Any]) -> str:
        found = raw[ID]
        if not isinstance(found, str):
            raise InputError(f"{self.path.name} has a row without id; give every case its own")
        return found

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile

        try:
            with ParquetFile(self.path) as file:
                yield file
        except (ArrowException, OSError) as error:
            raise InputError(f"{self.path.name} cannot be read as Parquet ({type(error).__name__})") from None

    def _check_type(self, name: str, kind: Any) -> None:
        from pyarrow import types

        value = kind.value_type if types.is_dictionary(kind) else kind
        text = types.is_string(value) or types.is_large_string(value) or types.is_null(kind)
        if name == FIELDS[0]:
            fits, wanted = types.is_integer(kind) or types.is_floating(kind) or types.is_null(kind), "numbers"
        elif name in self._images:
            listed = types.is_list(kind) or types.is_large_list(kind)
            fits, wanted = text or (listed and types.is_string(kind.value_type)), "texts or lists of texts"
        else:
            fits, wanted = text, "texts"
        if not fits:
            raise InputError(f"{self.path.name}: the column {name!r} must hold {wanted}, not {kind}")
