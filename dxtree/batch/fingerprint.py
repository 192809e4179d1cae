"""Is this the run that the folder holds? `run.json` says what decides its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from core.diagnosis import RESEARCH_USE
from core.errors import InputError
from core.files import write_whole
from core.guarding import adjustment_provenance
from core.pipeline import Pipeline
from dxtree.batch.recipe import Recipe
from dxtree.batch.survey import Cases

NAME = "run.json"
FORMAT = 1
OURS = frozenset({NAME, "lock", "shards", "faults.csv", "summary.json", "audit.json"})


def fingerprint(
    cases: Cases,
    recipe: Recipe,
    pipeline: Pipeline,
    models: Mapping[str, Mapping[str, str]],
    *,
    shard_rows: int,
    root: Path | None,
) -> dict[str, Any]:
    """What a run must share with another to go on with it: cases, models, options, dxtree.

    The images are not part of it, nor is what changes no answer: Ray, the window, the number of cores.
    """
    return {
        "format": FORMAT,
        "dxtree": version("dxtree"),
        "cases": {"sha256": cases.sha256, "rows": cases.rows, "kind": cases.reader.kind},
        "root": None if root is None else root.as_posix(),
        "shard_rows": shard_rows,
        "options": recipe.to_dict(),
        "pipeline": {
            **pipeline.provenance,
            "fuser": pipeline.fuser.name,
            "adjustments": [adjustment_provenance(a) for a in pipeline.adjustments],
        },
        "models": {name: dict(told) for name, told in models.items()},
        "research_use": RESEARCH_USE,
    }


def claim(folder: Path, told: Mapping[str, Any]) -> None:
    """Writes `run.json` into a folder without one, or holds it against the one that is there.

    Raises `InputError` where the folder holds another run, naming what differs, or files of somebody else.
    """
    path = folder / NAME
    content = json.dumps(told, ensure_ascii=False, allow_nan=False, indent=1)
    if not path.is_file():
        if any(found.name not in OURS and not found.name.endswith(".partial") for found in folder.iterdir()):
            raise InputError(f"{folder.name} holds files of something else; give an empty or a new folder")
        write_whole(path, content.encode())
        return
    try:
        before = json.loads(path.read_text("utf-8"))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise InputError(f"{folder.name}/{NAME} is no JSON object; give another folder")
    differing = list(_differing(before, json.loads(content)))
    if differing:
        raise InputError(
            f"{folder.name} holds another run; what differs is {', '.join(differing)}. Give what was given "
            "then, or another folder"
        )


def _differing(before: Mapping[str, Any], now: Mapping[str, Any], under: str = "") -> Iterator[str]:
    for key in dict.fromkeys((*before, *now)):
        then, this = before.get(key), now.get(key)
        if isinstance(then, dict) and isinstance(this, dict):
            yield from _differing(then, this, f"{under}{key}.")
        elif then != this:
            yield f"{under}{key}"
