"""What did each arm answer for each lesion? One table that other tools read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.cohort import Lesion
from core.errors import MissingExtra
from core.files import write_whole
from core.spreadsheet import inert
from core.tree import FloatArray
from dxtree.evaluation.labels import UNKNOWN, LabelSet


def lesion_rows(
    lesions: Sequence[Lesion],
    folds: Sequence[int],
    values: Mapping[str, FloatArray],
    sets: Sequence[LabelSet],
    nodes: Mapping[str, Mapping[str, FloatArray]],
) -> Iterator[dict[str, Any]]:
    """One row a lesion and arm that has an answer for it.

    For each label set: the true class, the answer (the most probable class), whether it is right, and the
    probability of the truth; for each node its probability. `None` where a label set cannot judge a lesion.
    `folds`: fold of each lesion. `nodes`: node to arm to P(node) of each lesion.
    """
    for arm, rows in values.items():
        scored = {s.name: s.scores(rows) for s in sets}
        for k, lesion in enumerate(lesions):
            if np.isnan(rows[k, 0]):
                continue
            found: dict[str, Any] = {
                "cohort": lesion.cohort,
                "lesion": lesion.lesion,
                "fold": folds[k],
                "truth": lesion.label,
                "arm": arm,
            }
            for one in sets:
                found |= _judged(one, scored[one.name][k], int(one.truth[k]))
            yield found | {f"p {node}": float(by_arm[arm][k]) for node, by_arm in nodes.items()}


def _judged(one: LabelSet, scores: FloatArray, truth: int) -> dict[str, Any]:
    best = int(scores.argmax())
    known = truth != UNKNOWN
    return {
        f"{one.name} truth": one.classes[truth] if known else None,
        f"{one.name} answer": one.classes[best],
        f"{one.name} right": best == truth if known else None,
        f"{one.name} p truth": float(scores[truth]) if known else None,
    }


def write_csv(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Writes the rows as CSV, whole or not at all; a text that a spreadsheet would run gets an apostrophe."""
    text = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({k: _cell(v) for k, v in row.items()})
    write_whole(path, text.getvalue().encode())


def write_parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """Writes the rows as Parquet. Raises `MissingExtra` without pyarrow."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("a Parquet file", "parquet") from None
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(list(rows)), sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.9g}"
    return inert(value) if isinstance(value, str) else str(value)
