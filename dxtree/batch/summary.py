"""What came of a whole run? Counted and listed anew from the shards, so that nothing is told twice."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.diagnosis import RESEARCH_USE
from core.files import write_whole, writing_whole
from core.spreadsheet import inert
from dxtree.batch.lines import is_fault
from dxtree.batch.rows import Block
from dxtree.batch.shards import Shards

COLUMNS = ("row", "id", "code", "message")


@dataclass(frozen=True)
class Summary:
    """How many rows there were, and what became of them. `codes` counts the faults by their code."""

    rows: int
    faults: int
    codes: Mapping[str, int]
    done: int
    """Rows that the last command did itself; the others were there."""
    seconds: float
    """What those took, beginning when the models of this process were loaded."""

    @property
    def diagnosed(self) -> int:
        """Rows with a diagnosis; some of them abstain."""
        return self.rows - self.faults

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "rows": self.rows,
            "diagnosed": self.diagnosed,
            "faults": self.faults,
            "codes": dict(sorted(self.codes.items())),
            "last_command": {
                "rows": self.done,
                "seconds": round(self.seconds, 3),
                "rows_per_second": round(self.done / self.seconds, 3) if self.done else None,
            },
            "research_use": RESEARCH_USE,
        }


def summarise(folder: Path, shards: Shards, blocks: Sequence[Block], *, done: int, seconds: float) -> Summary:
    """Writes `faults.csv` and `summary.json`. Raises `ContractError` for a shard with other rows."""
    codes: Counter[str] = Counter()
    rows = 0
    with writing_whole(folder / "faults.csv") as file:
        file.write(_csv(COLUMNS))
        for line in shards.lines(blocks):
            rows += 1
            if is_fault(line):
                told = json.loads(line)
                codes[told["fault"]["code"]] += 1
                file.write(
                    _csv(
                        (
                            told["row"],
                            inert(told["id"]),
                            told["fault"]["code"],
                            inert(told["fault"]["message"]),
                        )
                    )
                )
    found = Summary(rows, codes.total(), codes, done, seconds)
    write_whole(folder / "summary.json", (json.dumps(found.to_dict(), indent=1) + "\n").encode())
    return found


def _csv(fields: Sequence[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue().encode("utf-8", "backslashreplace")
