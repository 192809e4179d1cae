"""Where do people stand beside the curve, and did they read the same images?

One row a reader in a CSV. A point that was read on other images stands in a figure as an orientation; nothing
may be concluded from it, and every text that names it says so.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from core.errors import CohortError
from dxtree.binary.curve import Curve

COLUMNS = (
    "task",
    "reader",
    "sensitivity",
    "specificity",
    "sensitivity_sd",
    "specificity_sd",
    "source",
    "same_images",
)
MEAN = "mean"
"""Name of the reader who stands for the mean of all of them."""

OTHER_IMAGES = "read on other images: no comparison is implied"

_ESTEVA = "esteva_2017_readers.csv"


@dataclass(frozen=True)
class ReaderPoint:
    """One reader, or the mean of many, in one task. Shares from 0 to 1; `None`: no deviation is known."""

    task: str
    reader: str
    sensitivity: float
    specificity: float
    sensitivity_sd: float | None
    specificity_sd: float | None
    source: str
    same_images: bool

    @property
    def is_mean(self) -> bool:
        """Whether this is the mean of several readers."""
        return self.reader == MEAN


@dataclass(frozen=True)
class Comparison:
    """A reader beside the curve: the curve's specificity at the reader's sensitivity, and how to read it.

    `comparable` is false where the reader saw other images; `text` then says so.
    """

    reader: ReaderPoint
    specificity: float
    comparable: bool
    text: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "reader": self.reader.reader,
            "source": self.reader.source,
            "sensitivity": self.reader.sensitivity,
            "specificity": self.reader.specificity,
            "same_images": self.reader.same_images,
            "curve_specificity_at_that_sensitivity": self.specificity,
            "text": self.text,
        }


def read_readers(path: str | Path) -> tuple[ReaderPoint, ...]:
    """Every row of a CSV with the columns of `COLUMNS`, in any order.

    Raises `CohortError` naming file, line and column for a table that is no UTF-8 CSV, a column that is
    absent, an empty task, reader or source, a share that is no number from 0 to 1, a same_images that is
    neither yes nor no, or a reader who stands twice in a task.
    """
    source = Path(path)
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            missing = [c for c in COLUMNS if c not in (reader.fieldnames or ())]
            if missing:
                raise CohortError(f"{source.name} lacks the columns {', '.join(missing)}")
            found = [_point(row, f"{source.name}, line {reader.line_num}") for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CohortError(
            f"{source.name} cannot be read ({type(error).__name__}); give a CSV in UTF-8 with the columns "
            f"{', '.join(COLUMNS)}"
        ) from None
    seen: set[tuple[str, str, str]] = set()
    for point in found:
        key = (point.task, point.reader, point.source)
        if key in seen:
            raise CohortError(f"{source.name}: reader {point.reader!r} stands twice in task {point.task!r}")
        seen.add(key)
    return tuple(found)


def esteva_readers() -> tuple[ReaderPoint, ...]:
    """The means of the dermatologists of Esteva et al. 2017, on images that we do not have."""
    with resources.as_file(resources.files("dxtree.binary").joinpath("data", _ESTEVA)) as path:
        return read_readers(path)


def readers_of(task: str, points: Iterable[ReaderPoint]) -> tuple[ReaderPoint, ...]:
    """The points of one task, by its name."""
    return tuple(p for p in points if p.task == task)


def compare(reader: ReaderPoint, curve: Curve) -> Comparison:
    """What the curve reaches at the reader's sensitivity, without any verdict on who is better."""
    here = curve.specificity_at(reader.sensitivity)
    who = "the readers' mean" if reader.is_mean else reader.reader
    text = (
        f"at sensitivity {reader.sensitivity:.3f} the curve has specificity {here:.3f}; {who} has "
        f"{reader.specificity:.3f} ({reader.source})"
    )
    if not reader.same_images:
        text += f"; {OTHER_IMAGES}"
    return Comparison(reader, here, reader.same_images, text)


def _point(row: dict[str, str], where: str) -> ReaderPoint:
    if None in row or None in row.values():
        raise CohortError(f"{where} is ragged; every line has as many cells as the first")
    for column in ("task", "reader", "source"):
        if not row[column].strip():
            raise CohortError(
                f"{where}: {column} is empty; every point says whose it is and where it is from"
            )
    if row["same_images"] not in ("yes", "no"):
        raise CohortError(f"{where}: same_images is yes or no: were these very images read?")
    sensitivity, specificity = (_share(row, c, where) for c in ("sensitivity", "specificity"))
    if sensitivity is None or specificity is None:
        raise CohortError(f"{where}: sensitivity and specificity are needed, each from 0 to 1")
    return ReaderPoint(
        task=row["task"].strip(),
        reader=row["reader"].strip(),
        sensitivity=sensitivity,
        specificity=specificity,
        sensitivity_sd=_share(row, "sensitivity_sd", where),
        specificity_sd=_share(row, "specificity_sd", where),
        source=row["source"].strip(),
        same_images=row["same_images"] == "yes",
    )


def _share(row: dict[str, str], column: str, where: str) -> float | None:
    if not row[column].strip():
        return None
    try:
        value = float(row[column])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise CohortError(f"{where}: {column} must be a number from 0 to 1, such as .91")
    return value
