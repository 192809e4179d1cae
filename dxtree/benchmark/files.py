"""Which files does a benchmark leave?

OUT/results.json        every number, definition and version
OUT/leaderboard.json    what a later run is compared with
OUT/lesions-COHORT.csv  each arm's answer for each lesion (and .parquet where asked for)
OUT/report.html         one page that needs nothing else
OUT/answers/            the answers of each fit: the same command goes on from there
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.files import write_whole
from dxtree.benchmark.judging import Court
from dxtree.benchmark.leaderboard import Leaderboard
from dxtree.benchmark.lesions import lesion_rows, write_csv, write_parquet
from dxtree.benchmark.run import Outcome

LEADERBOARD, RESULTS, REPORT = "leaderboard.json", "results.json", "report.html"


def write_outcome(
    outcome: Outcome, folder: Path, earlier: Sequence[Leaderboard] = (), *, parquet: bool = False
) -> None:
    """Writes every file; each is whole or absent.

    Raises `MissingExtra` where the report or Parquet needs what is not installed, after the other files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    benchmark = outcome.benchmark
    _write_json(folder / RESULTS, benchmark.to_dict())
    _write_json(folder / LEADERBOARD, benchmark.leaderboards())
    for court in outcome.courts:
        write_csv(folder / f"lesions-{court.cohort.name}.csv", _rows(court))
        if parquet:
            write_parquet(folder / f"lesions-{court.cohort.name}.parquet", _rows(court))
    from dxtree.benchmark.report import write_benchmark_report

    write_benchmark_report(folder / REPORT, outcome, earlier)


def _rows(court: Court) -> Iterator[dict[str, Any]]:
    values = court.field.judged.values
    nodes = {
        node: {arm: court.sums.of(rows, (node,))[:, 0] for arm, rows in values.items()}
        for node in court.nodes.values()
    }
    part = court.field.judged
    return lesion_rows(part.lesions, part.fold.tolist(), values, court.labels.sets, nodes)


def _write_json(path: Path, document: Any) -> None:
    write_whole(path, json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode())
