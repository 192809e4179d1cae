"""Which answers of this run are in the audit trail already?

A record names its run and row, and stands in the trail before the row's line is kept. So after `kill -9` the
trail may be ahead of the shards: those rows are diagnosed again, and what is then answered as before is not
recorded a second time. Another answer is, such as one without an image that was lost to a full machine.

    audit.json      the run's name in the trail, and the name of the trail's key
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.case import Case
from core.diagnosis import Diagnosis
from core.errors import InputError
from core.files import write_whole
from dxtree.audit import AuditTrail, gist, records, segments

NAME = "audit.json"


class Recorder:
    """Records the diagnoses of one run in a trail, each row's answer once."""

    def __init__(self, trail: AuditTrail, run: str, known: frozenset[tuple[int, str]]) -> None:
        self._trail, self._run, self._known = trail, run, known

    def record(self, row: int, case: Case, diagnosis: Diagnosis) -> None:
        """On return the answer is in the trail. Raises `OutOfSpace` and `AuditError`."""
        content = self._trail.content(case, diagnosis, batch={"run": self._run, "row": row})
        if (row, gist(content)) not in self._known:
            self._trail.add(content)


def recorder_of(folder: Path, trail: AuditTrail | None, *, has_answers: bool, to_do: bool) -> Recorder | None:
    """The recorder of a claimed folder, or `None` for a run without a trail.

    `has_answers`: whether any row was told before. `to_do`: whether any is left; only then the trail is read.
    Raises `InputError` where a run began with a trail and goes on without it, or with another, or the other
    way about; `AuditError` for a trail that does not hold.
    """
    told = _read(folder / NAME)
    if trail is None:
        if told is not None:
            raise InputError(f"{folder.name} is recorded in an audit trail; give that by --audit as well")
        return None
    if told is None:
        if has_answers:
            raise InputError(f"{folder.name} holds answers that no trail has; give another folder")
        run = secrets.token_hex(16)
        write_whole(folder / NAME, json.dumps({"run": run, "key": trail.key_name}).encode())
        return Recorder(trail, run, frozenset())
    run, key = told
    if key != trail.key_name:
        raise InputError(f"{folder.name} is recorded in another audit trail; give that by --audit")
    return Recorder(trail, run, frozenset(_known(trail, run)) if to_do else frozenset())


def _known(trail: AuditTrail, run: str) -> Iterator[tuple[int, str]]:
    for path in (*segments(trail.path).values(), trail.path):
        for record in records(path):
            batch = record.get("batch")
            if isinstance(batch, dict) and batch.get("run") == run:
                yield int(batch["row"]), gist(record)


def _read(path: Path) -> tuple[str, str] | None:
    if not path.is_file():
        return None
    try:
        told: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return str(told["run"]), str(told["key"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path.parent.name}/{NAME} is damaged; give another folder") from None
