"""How do the arms of this run stand beside those of an earlier one? A file that a later run is compared with.

A leaderboard names the lesions by a digest: runs over other lesions are not compared, however alike they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.diagnosis import RESEARCH_USE
from core.errors import CohortError

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """One arm of one run: metric to (value, low, high) over one label set.

    `rows`: sha256 over the lesions that its numbers are about, with their labels and folds.
    """

    arm: str
    label_set: str
    n: int
    rows: str
    metrics: Mapping[str, tuple[float | None, float | None, float | None]]


@dataclass(frozen=True)
class Leaderboard:
    """Every arm of one run over one cohort. `inputs`: name of each set of inputs to its members."""

    benchmark: str
    cohort: str
    inputs: Mapping[str, Sequence[str]]
    entries: tuple[Entry, ...]
    provenance: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "format": FORMAT,
            "benchmark": self.benchmark,
            "cohort": self.cohort,
            "inputs": {name: list(members) for name, members in self.inputs.items()},
            "entries": [
                {
                    "arm": e.arm,
                    "label_set": e.label_set,
                    "n": e.n,
                    "rows": e.rows,
                    "metrics": {k: list(v) for k, v in e.metrics.items()},
                }
                for e in self.entries
            ],
            "provenance": dict(self.provenance),
            "research_use": RESEARCH_USE,
        }


def read_leaderboards(path: Path) -> list[Leaderboard]:
    """The leaderboards of a file, one a cohort. Raises `CohortError` where it holds none."""
    try:
        raw = json.loads(path.read_text("utf-8"))
        if raw["format"] != FORMAT:
            raise CohortError(f"{path.name} has format {raw['format']!r}; this version reads {FORMAT}")
        return [_read(one) for one in raw["cohorts"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CohortError(f"{path.name} is no leaderboard; `dxtree benchmark` writes one") from error


def _read(raw: Mapping[str, Any]) -> Leaderboard:
    entries = tuple(
        Entry(e["arm"], e["label_set"], e["n"], e["rows"], {k: tuple(v) for k, v in e["metrics"].items()})
        for e in raw["entries"]
    )
    return Leaderboard(raw["benchmark"], raw["cohort"], raw["inputs"], entries, raw["provenance"])


@dataclass(frozen=True)
class Change:
    """One metric of one arm in both runs."""

    arm: str
    label_set: str
    metric: str
    before: float | None
    now: float | None


def check_comparable(cohorts: Sequence[str], before: Sequence[Leaderboard]) -> None:
    """Raises `CohortError` where an earlier run holds none of the cohorts."""
    for cohort in cohorts:
        if not any(b.cohort == cohort for b in before):
            raise CohortError(f"the earlier leaderboard holds no cohort {cohort!r}")


def changes(now: Leaderboard, before: Sequence[Leaderboard]) -> list[Change]:
    """Arms of both runs, metric by metric.

    Raises `CohortError` where the earlier run holds no such cohort, its arms of the same name had other
    inputs, or its numbers are about other lesions or folds.
    """
    check_comparable([now.cohort], before)
    earlier = next(b for b in before if b.cohort == now.cohort)
    old = {(e.arm, e.label_set): e for e in earlier.entries}
    for name, members in now.inputs.items():
        if sorted(earlier.inputs.get(name, members)) != sorted(members):
            raise CohortError(f"inputs {name!r} were {', '.join(earlier.inputs[name])} in the earlier run")
    found = []
    for entry in now.entries:
        other = old.get((entry.arm, entry.label_set))
        if other is None:
            continue
        if other.rows != entry.rows:
            raise CohortError(
                f"{now.cohort}: the earlier run judged other lesions or folds; numbers over other lesions "
                "are not compared"
            )
        found += [
            Change(entry.arm, entry.label_set, m, other.metrics[m][0], value[0])
            for m, value in entry.metrics.items()
            if m in other.metrics
        ]
    return found
