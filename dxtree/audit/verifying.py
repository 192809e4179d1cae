"""Is the trail what was written? Every line is checked, in memory that does not grow with the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import AuditError
from dxtree.audit.appending import settled
from dxtree.audit.chain import LONGEST, Link, NotALink, follows, has_seal_of, parsed
from dxtree.audit.key import name_of
from dxtree.audit.record import TORN

HEAD = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Fault:
    """The first line that does not hold, counted from 1, and what is wrong with it."""

    line: int
    what: str


@dataclass(frozen=True)
class Verified:
    """What a check of a trail found.

    `records` and `head` are those of the part that holds; `torn` counts records of torn lines that were moved
    aside. `seals_checked` is false where no key was at hand, so that a chain computed anew after a change
    would have passed.
    """

    records: int
    head: str
    torn: int
    seals_checked: bool
    fault: Fault | None

    @property
    def holds(self) -> bool:
        """Whether nothing wrong was found."""
        return self.fault is None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"holds": self.holds, **asdict(self)}


def verify(path: str | Path, *, keys: Sequence[bytes] = (), head: str | None = None) -> Verified:
    """Reads a trail from its first line to the first that does not hold.

    With `keys` every record must be sealed with one of them. `head` is a hash noted earlier: a line must bear
    it, or lines were cut off the end or rewritten since. What is appended after the call has begun is not
    looked at. Raises `AuditError` for a file that cannot be read or a head that is no hash.
    """
    if head is not None and not HEAD.fullmatch(head):
        raise AuditError("a head is 64 hexadecimal digits, as dxtree audit head prints them")
    named = {name_of(key): key for key in keys}
    link, torn, number, met = Link(), 0, 0, head in (None, Link().hash)

    def found(fault: Fault | None) -> Verified:
        return Verified(link.index, link.hash, torn, bool(keys), fault)

    for number, line in enumerate(_lines(Path(path)), start=1):
        try:
            record = parsed(line)
            following = follows(record, link)
            if keys and (record.get("key") not in named or not has_seal_of(record, named[record["key"]])):
                raise NotALink("the record was not sealed with a key that is given: it was made elsewhere")
        except NotALink as error:
            return found(Fault(number, str(error)))
        link, torn = following, torn + (record.get("kind") == TORN)
        met = met or link.hash == head
    if met:
        return found(None)
    return found(Fault(number + 1, "no line bears the head: lines were cut off the end, or rewritten"))


def head_of(path: str | Path) -> Link:
    """Number of records and hash of the last one of a trail that holds. Raises `AuditError`."""
    result = verify(path)
    if result.fault is not None:
        raise AuditError(
            f"{Path(path).name} does not hold: line {result.fault.line}: {result.fault.what}; it has no head"
        )
    return Link(result.records, result.head)


def records(path: str | Path) -> Iterator[dict[str, Any]]:
    """The records of a trail, one by one, each checked to follow the one before. Raises `AuditError`."""
    link = Link()
    for number, line in enumerate(_lines(Path(path)), start=1):
        try:
            record = parsed(line)
            link = follows(record, link)
        except NotALink as error:
            raise AuditError(f"{Path(path).name} does not hold: line {number}: {error}") from None
        yield record


def _lines(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise AuditError(f"{path.name} is no file; name an audit trail")
    try:
        with path.open("rb") as file:
            left = settled(file.fileno())
            while line := file.readline(min(left, LONGEST + 1)):
                left -= len(line)
                yield line
    except OSError as error:
        raise AuditError(f"{path.name} cannot be read ({type(error).__name__})") from error
