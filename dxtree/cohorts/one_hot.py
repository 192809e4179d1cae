"""Which class does a line with one column for each class name?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.errors import CohortError
from dxtree.cohorts.tables import Row, read_rows


def read_one_hot(table: Path, cohort: str, key: str, classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Maps the key of each line to the line's place and the one class that holds a 1.

    Raises `CohortError` for a key that is empty or stands twice, a value that is neither 0 nor 1, and a line
    without exactly one 1.
    """
    found: dict[str, tuple[str, str]] = {}
    for where, row in read_rows(table, cohort, (key, *classes)):
        if not row[key] or row[key] in found:
            raise CohortError(f"{where}: {key} is empty or stands twice; each has one line")
        found[row[key]] = where, _class(row, where, classes)
    return found


def join(
    rows: Sequence[tuple[str, Row]], key: str, truth: dict[str, tuple[str, str]], name: str
) -> list[tuple[str, Row]]:
    """The rows with the class of their key in the column `name`, which no public table has.

    Raises `CohortError` for a row whose key has no class, and for a class whose key has no row.
    """
    without = next((where for where, row in rows if row[key] not in truth), None)
    if without is not None:
        raise CohortError(f"{without}: {key} has no line in the ground truth; give tables of one release")
    unused = truth.keys() - {row[key] for _, row in rows}
    if unused:
        where = truth[min(unused)][0]
        raise CohortError(f"{where}: {key} has no line in the metadata; give tables of one release")
    return [(where, {**row, name: truth[row[key]][1]}) for where, row in rows]


def _class(row: Row, where: str, classes: Sequence[str]) -> str:
    try:
        values = [float(row[c]) for c in classes]
    except ValueError:
        values = []
    if sorted(values) != [0.0] * (len(classes) - 1) + [1.0]:
        raise CohortError(f"{where}: exactly one of {', '.join(classes)} must be 1 and the others 0")
    return classes[values.index(1.0)]
