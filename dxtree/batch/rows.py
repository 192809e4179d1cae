"""What is one row of a file of cases, and what must a reader of such a file do?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from core.case import Case


@dataclass(frozen=True)
class Place:
    """What the check of a file learns of a row: its id, where it begins, the modalities of its images."""

    id: str
    offset: int
    """Bytes before the row; 0 throughout a file that is not read by bytes."""
    modalities: tuple[str, ...]


@dataclass(frozen=True)
class Block:
    """The rows of one shard. `first` counts from 1, `index` from 0; `offset` is that of the first row."""

    index: int
    first: int
    rows: int
    offset: int


@dataclass(frozen=True)
class Row:
    """One row as the file has it. `number` counts from 1 and leaves a header out."""

    number: int
    id: str
    raw: Mapping[str, Any]


class Reader(Protocol):
    """A file of cases whose header has been checked. Nothing of it is kept in memory."""

    path: Path
    kind: str
    """csv, jsonl or parquet."""

    def scan(self) -> Iterator[Place]:
        """Every row's place. Raises `InputError` where the file as a table is damaged."""
        ...

    def read(self, block: Block) -> Iterator[Row]:
        """The rows of a block, in order."""
        ...

    def case(self, row: Row) -> Case:
        """The row as a case. Raises `InputError` where a value of it is at fault."""
        ...
