"""Is a file of cases sound, before a net runs for any of them? One pass, memory for one small hash a row."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from core.errors import DuplicateId, EmptyInput, InputError, PathRejected
from dxtree.batch.csv_cases import CsvCases
from dxtree.batch.jsonl_cases import JsonlCases
from dxtree.batch.parquet_cases import ParquetCases
from dxtree.batch.rows import Block, Reader

KINDS: dict[str, Callable[[Path, Path, Collection[str]], Reader]] = {
    ".csv": CsvCases,
    ".jsonl": lambda path, root, _: JsonlCases(path, root),
    ".parquet": ParquetCases,
}


@dataclass(frozen=True)
class Cases:
    """A sound file of cases, parted into the rows of shards."""

    reader: Reader
    sha256: str
    rows: int
    blocks: tuple[Block, ...]
    modalities: tuple[str, ...]
    """Those of which any row has an image, sorted; one without a model may be among them."""
    state: tuple[int, ...]

    def check_unchanged(self) -> None:
        """Raises `InputError` where the file has been written since it was surveyed."""
        if _state(self.reader.path) != self.state:
            raise InputError(
                f"{self.reader.path.name} was changed while its cases were diagnosed; start anew"
            )


def open_cases(path: Path, root: Path | None, modalities: Collection[str]) -> Reader:
    """The reader that the file's ending asks for; images lie below `root`, by default the file's folder.

    Raises `PathRejected` for a file or folder that is not there, `InputError` for another ending or a header
    that does not fit, `MissingExtra` for Parquet without pyarrow.
    """
    if not path.is_file():
        raise PathRejected("the file of cases does not exist")
    folder = path.parent if root is None else root
    if not folder.is_dir():
        raise PathRejected("the folder of the images does not exist")
    opened = KINDS.get(path.suffix.lower())
    if opened is None:
        raise InputError(f"a file of cases ends with {', '.join(KINDS)}, not with {path.suffix!r}")
    return opened(path, Path(os.path.realpath(folder)), modalities)


def survey(reader: Reader, shard_rows: int) -> Cases:
    """Reads every row once.

    Raises `InputError` where the file is damaged as a table (not UTF-8, ragged, no JSON), `DuplicateId` for
    an id that stands twice, and `EmptyInput` for one without rows or an empty id. What a value of a row
    lacks is that row's own fault and found later.
    """
    if shard_rows < 1:
        raise InputError(f"a shard of {shard_rows} rows cannot be; give 1 or more")
    state = _state(reader.path)
    seen: set[bytes] = set()
    blocks: list[Block] = []
    modalities: set[str] = set()
    rows = 0
    for rows, place in enumerate(reader.scan(), start=1):
        if not place.id:
            raise EmptyInput(f"{reader.path.name}, case {rows} has an empty id; give every case its own")
        mark = _mark(place.id)
        if mark in seen:
            raise _twice(reader, mark, rows)
        seen.add(mark)
        modalities.update(place.modalities)
        if (rows - 1) % shard_rows == 0:
            blocks.append(Block(len(blocks), rows, shard_rows, place.offset))
    if not rows:
        raise EmptyInput(f"{reader.path.name} holds no case")
    last = blocks[-1]
    blocks[-1] = Block(last.index, last.first, rows - last.first + 1, last.offset)
    found = Cases(reader, digest(reader.path), rows, tuple(blocks), tuple(sorted(modalities)), state)
    found.check_unchanged()
    return found


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _mark(case_id: str) -> bytes:
    return hashlib.blake2b(case_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _twice(reader: Reader, mark: bytes, row: int) -> DuplicateId:
    first = next(k for k, place in enumerate(reader.scan(), start=1) if _mark(place.id) == mark)
    return DuplicateId(f"{reader.path.name}: cases {first} and {row} have one id; give every case its own")


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
