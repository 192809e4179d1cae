"""From which raw file can every printed number be made again?"""

from __future__ import annotations

import csv
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from core.errors import CohortError, OutOfSpace, PathRejected
from core.partition import Partition
from core.spreadsheet import inert, plain
from dxtree.evaluation.gathering import Predictions

KEYS = ("lesion", "cohort", "truth", "official", "pipeline")
"""Columns before the training classes. They hold no metadata of a patient."""


class Writer(Protocol):
    """What `csv.writer` gives."""

    def writerow(self, row: Iterable[str], /) -> object:
        """Writes one row."""


def write_predictions(predictions: Predictions, path: str | Path) -> None:
    """Writes one row per lesion and pipeline: truth and the probability of every training class, exactly.

    The file is whole or absent: it is written beside its place and renamed. A text that a spreadsheet
    would run as a formula gets an apostrophe in front. Raises `OutOfSpace` on a full disk and
    `PathRejected` where the file cannot be written.
    """
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            _write(predictions, csv.writer(file, lineterminator="\n"))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno == errno.ENOSPC:
            raise OutOfSpace(f"the disk is full: {target.name} was not written; free some space") from None
        raise PathRejected(
            f"{target.name} cannot be written ({type(error).__name__}); name another file"
        ) from None


def _write(predictions: Predictions, writer: Writer) -> None:
    writer.writerow([*KEYS, *map(inert, predictions.partition.ids)])
    for name, values in predictions.values.items():
        answered = predictions.known(name).tolist()
        for lesion, row, known in zip(predictions.lesions, values.tolist(), answered, strict=True):
            if known:
                keys = (lesion.lesion, lesion.cohort, lesion.label, lesion.official or "", name)
                writer.writerow([*map(inert, keys), *map(repr, row)])


def read_predictions(path: str | Path, partition: Partition) -> list[tuple[dict[str, str], list[float]]]:
    """Keys and probabilities of every row. Raises `CohortError` for another layout or other classes."""
    source = Path(path)
    with source.open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    if tuple(map(plain, header)) != (*KEYS, *partition.ids):
        raise CohortError(f"{source.name}: the columns must be {', '.join(KEYS)} and the training classes")
    width = len(KEYS)
    return [
        (dict(zip(KEYS, map(plain, row[:width]), strict=True)), [float(v) for v in row[width:]])
        for row in rows
    ]
