"""How does a trail begin a new file without a break in the chain, and when may an old one go?

    trail.jsonl.1, trail.jsonl.2, ...   segments, each a chain of its own, oldest first
    trail.jsonl                         the one that is written

The first record of a file names the head of the segment before and every segment that was removed by then.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from core.errors import AuditError, OutOfSpace
from core.files import FULL, sync_folder, write_whole
from dxtree.audit.appending import append, joined, joint, locked
from dxtree.audit.chain import Link, linked
from dxtree.audit.record import ROTATED, of_rotation, of_torn
from dxtree.audit.verifying import Fault, Verified, records, verify

LEAST_DAYS = 183
"""No record is removed before: half a year."""


@dataclass(frozen=True)
class Rotated:
    """The segment that was closed, its head, and the segments that were removed."""

    segment: Path
    closed: Link
    removed: tuple[Path, ...]


def rotate(path: str | Path, key: bytes, *, keep_days: int | None = None) -> Rotated:
    """Closes the trail as a segment and begins a new file that joins on to it.

    `keep_days`: segments whose last record is older are removed, and the new file says so; `None` keeps all.
    Writers may go on meanwhile. A kill at any moment leaves a whole trail. Raises `AuditError` for a trail
    that does not hold, has no records, is sealed with another key, or for fewer days than `LEAST_DAYS`, and
    `OutOfSpace`.
    """
    trail = Path(path)
    if keep_days is not None and keep_days < LEAST_DAYS:
        raise AuditError(f"records are kept for {LEAST_DAYS} days at least; keep_days must not be below that")
    if not trail.is_file():
        raise AuditError(f"{trail.name} is no file; name an audit trail")
    opened = trail.stat()
    found = verify(trail, keys=[key])
    if found.fault is not None:
        raise AuditError(f"{trail.name} does not hold: line {found.fault.line}: {found.fault.what}")
    if not found.records:
        raise AuditError(f"{trail.name} has no records; there is nothing to close")
    before = segments(trail)
    # Left by a rotation that was killed: the segment is the trail itself, under both names.
    half = bool(before) and before[max(before)].samefile(trail)
    number = max(before, default=0) + (not half)
    segment = trail.with_name(f"{trail.name}.{number}")
    old = [] if keep_days is None else _older(before, number, keep_days)
    gone = sorted({*_before(_first(trail))[2], *old})
    with locked(trail) as handle:  # a second handle would wait for this one, so all else was read before
        if not os.path.samestat(os.fstat(handle), opened):
            raise AuditError(f"{trail.name} was rotated by another meanwhile")
        closed, torn = joint(handle, trail)
        if torn is not None:
            closed = append(handle, trail, closed, joined(of_torn(*torn, key), key))
        line, _ = linked(of_rotation(key, number, closed.hash, closed.index, gone), Link(), key)
        try:
            if not half:
                os.link(trail, segment)
            write_whole(trail, line)
            trail.chmod(0o600)
            for one in old:
                before[one].unlink()
            sync_folder(trail.parent)
        except OSError as error:
            kind = OutOfSpace if error.errno in FULL else AuditError
            raise kind(
                f"{trail.name} cannot be closed ({type(error).__name__}); it holds as before"
            ) from error
    return Rotated(segment, closed, tuple(before[one] for one in old))


def segments(path: str | Path) -> dict[int, Path]:
    """The closed segments beside a trail, by number, oldest first."""
    trail = Path(path)
    named = re.compile(re.escape(trail.name) + r"\.([1-9]\d{0,8})")
    found = {int(m[1]): one for one in trail.parent.iterdir() if (m := named.fullmatch(one.name))}
    return dict(sorted(found.items()))


def verify_all(path: str | Path, *, keys: Sequence[bytes] = (), head: str | None = None) -> Verified:
    """The trail and every segment before it: each holds, joins on, and is missing only where it was removed.

    The answer counts the records of all. A fault in a segment names its file; `head` is one of the trail's
    own or of any segment's.
    """
    trail = Path(path)
    last = verify(trail, keys=keys)
    if last.fault is not None:
        return last
    beside, first = segments(trail), _first(trail)
    beside = {k: one for k, one in beside.items() if not one.samefile(trail)}
    newest, ending, removed = _before(first)
    if any(number > newest for number in beside):
        return _fault(last, "there are segments that the trail does not join on to: it was replaced")
    count, torn = last.records, last.torn
    for number in range(newest, 0, -1):
        if number not in beside:
            if number not in removed:
                return _fault(last, f"{trail.name}.{number} is missing and was not removed by a rotation")
            ending = None
            continue
        found = verify(beside[number], keys=keys)
        if found.fault is not None:
            return replace(
                found, fault=replace(found.fault, what=f"{beside[number].name}: {found.fault.what}")
            )
        if ending not in (None, found.head):
            return _fault(last, f"{beside[number].name} does not end where the next file says")
        count, torn = count + found.records, torn + found.torn
        ending = _before(_first(beside[number]))[1]
    if head is not None and all(verify(one, head=head).fault for one in (trail, *beside.values())):
        return verify(trail, keys=keys, head=head)
    return replace(last, records=count, torn=torn)


def _fault(last: Verified, what: str) -> Verified:
    return replace(last, fault=Fault(1, what))


def _first(path: Path) -> dict[str, Any]:
    return next(iter(records(path)), {})


def _before(first: dict[str, Any]) -> tuple[int, str | None, frozenset[int]]:
    """Number and head of the segment before, 0 where there is none, and the numbers of removed ones."""
    if first.get("kind") != ROTATED:
        return 0, None, frozenset()
    return int(first["segment"]), str(first["head"]), frozenset(first["removed"])


def _older(before: dict[int, Path], number: int, days: int) -> list[int]:
    """Segments before `number` whose last record is older, from the first without a gap."""
    least = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    found = []
    for k, path in before.items():
        if k >= number or _time(path) >= least:
            break
        found.append(k)
    return found


def _time(path: Path) -> str:
    last = deque(records(path), maxlen=1)
    return str(last[0].get("time")) if last else "9"
