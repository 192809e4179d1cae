"""How does metrics.jsonl tell of every epoch once, however often its run was killed?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.files import write_whole
from modalities.training.checkpoint import watching_space


def append(path: Path, row: Mapping[str, Any]) -> None:
    """One line more. Raises `OutOfSpace` on a full disk."""
    with watching_space(path.name), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def forget_after(path: Path, step: int) -> None:
    """Drops the epochs that ended after a step, which the run will tell of again, and a line cut short."""
    if not path.is_file():
        return
    kept = [row for row in read(path) if "epoch" not in row or int(row["step"]) <= step]
    write_whole(path, "".join(json.dumps(row) + "\n" for row in kept).encode())


def read(path: Path) -> list[dict[str, Any]]:
    """Every whole line; none without a file."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            found.append(row)
    return found
