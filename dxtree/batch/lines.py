"""What does a shard say of one row? One line of JSON: its diagnosis, or the fault that stood in its way.

{"row": 1, "id": "a", "diagnosis": {...}}
{"row": 2, "id": "b", "fault": {"code": "CorruptImage", "message": "..."}}
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import Any

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import BundleError, DxtreeError, MissingExtra
from core.many import Outcome
from dxtree.batch.rows import Block, Reader, Row

Diagnose = Callable[[Iterable[Case]], Iterator[Outcome]]
"""Cases to outcomes, lazily and in order."""

Record = Callable[[int, Case, Diagnosis], None]
"""Takes a row's number, its case and its diagnosis."""

_SHAPE = re.compile(rb'\{"row": ([0-9]+), "id": "(?:[^"\\]|\\.)*", "(diagnosis|fault)": \{')


def lines_of(
    reader: Reader, block: Block, diagnose: Diagnose, *, skip: int = 0, record: Record | None = None
) -> Generator[bytes, None, None]:
    """The line of every row of the block after the first `skip`, in order, each ending with a newline.

    `record` is called with each diagnosis before its line is told.

    Raises `BundleError` and `MissingExtra` where a model cannot be used, which is no row's fault, and what
    reading the file raises, and `record`.
    """
    told: deque[tuple[Row, Case | DxtreeError]] = deque()

    def cases() -> Iterator[Case]:
        for row in islice(reader.read(block), skip, None):
            try:
                case = reader.case(row)
            except DxtreeError as error:
                told.append((row, error))
            else:
                told.append((row, case))
                yield case

    for outcome in diagnose(cases()):
        yield from _faults_first(told)
        row, case = told.popleft()
        if outcome.error is not None:
            yield _fault(row, outcome.error)
        elif outcome.diagnosis is not None:
            if record is not None and isinstance(case, Case):
                record(row.number, case, outcome.diagnosis)
            yield _line(row, "diagnosis", outcome.diagnosis.to_dict())
    yield from _faults_first(told)


def number_of(line: bytes) -> int | None:
    """The row that a line is about; `None` where it is no line of a shard."""
    found = _SHAPE.match(line)
    return int(found[1]) if found and line.endswith(b"}\n") else None


def is_fault(line: bytes) -> bool:
    """Whether the line tells of a fault."""
    found = _SHAPE.match(line)
    return found is not None and found[2] == b"fault"


def _faults_first(told: deque[tuple[Row, Case | DxtreeError]]) -> Iterator[bytes]:
    while told and isinstance(error := told[0][1], DxtreeError):
        yield _fault(told.popleft()[0], error)


def _fault(row: Row, error: DxtreeError) -> bytes:
    if isinstance(error, BundleError | MissingExtra):
        raise error
    return _line(row, "fault", {"code": error.code, "message": error.safe_message})


def _line(row: Row, key: str, value: dict[str, Any]) -> bytes:
    told = {"row": row.number, "id": row.id, key: value}
    # A lone surrogate, which JSON can spell and UTF-8 cannot, is written as JSON spells it.
    return (json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")
