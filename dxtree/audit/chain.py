"""What makes a line of the trail a link? Its number, the hash of the line before, a seal and its own hash.

    seal = HMAC-SHA256(key, canonical JSON without seal and hash)
    hash = SHA-256(canonical JSON without hash)

Canonical JSON: keys sorted, no white space, ASCII, numbers as Python's `repr`. A line is the canonical JSON
of the whole record and a newline, so that a changed byte changes the record or is no canonical JSON.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import AuditError

START = "0" * 64
"""What stands as the hash before the first line."""

LONGEST = 16 * 1024 * 1024
"""Bytes of the longest line: what is longer is refused when written and a fault when read."""


@dataclass(frozen=True)
class Link:
    """Where the next line joins on: how many lines there are, and the hash of the last."""

    index: int = 0
    hash: str = START


class NotALink(Exception):
    """A line does not hold; the text says why and repeats nothing of it."""


def canonical(record: Mapping[str, Any]) -> bytes:
    """The one way to write a record. Raises `AuditError` for what JSON cannot hold, NaN included."""
    try:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise AuditError(f"the record cannot be written as JSON ({type(error).__name__})") from error
    return text.encode("ascii")


def linked(content: Mapping[str, Any], after: Link, key: bytes) -> tuple[bytes, Link]:
    """The content as the line after another, newline included, and where the next one joins on."""
    record = {**content, "index": after.index + 1, "previous": after.hash}
    record["seal"] = _seal(record, key)
    record["hash"] = hashlib.sha256(canonical(record)).hexdigest()
    line = canonical(record) + b"\n"
    if len(line) > LONGEST:
        raise AuditError(f"a record of {len(line)} bytes is longer than a line may be: {LONGEST}")
    return line, Link(after.index + 1, record["hash"])


def parsed(line: bytes) -> dict[str, Any]:
    """The record of a line whose own hash is right. Raises `NotALink`."""
    if not line.endswith(b"\n"):
        raise NotALink("the line has no end: it was torn, or is longer than a line may be")
    try:
        record = json.loads(line)
        rewritten = canonical(record) + b"\n"
    except (ValueError, RecursionError, AuditError):
        raise NotALink("the line is no JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("hash"), str):
        raise NotALink("the line is no record with a hash")
    if rewritten != line:
        raise NotALink("the line is not written as the trail writes")
    rest = {name: value for name, value in record.items() if name != "hash"}
    if hashlib.sha256(canonical(rest)).hexdigest() != record["hash"]:
        raise NotALink("the record differs from its own hash: it was changed")
    return record


def follows(record: Mapping[str, Any], before: Link) -> Link:
    """Where the next line joins on. Raises `NotALink` where the record does not join on to `before`."""
    index = record.get("index")
    if index != before.index + 1:
        raise NotALink(
            f"record {before.index + 1} is expected and another stands here: "
            "lines were removed, inserted or put in another order"
        )
    if record.get("previous") != before.hash:
        raise NotALink("the record does not join on to the line before, which was changed or replaced")
    return Link(index, record["hash"])


def has_seal_of(record: Mapping[str, Any], key: bytes) -> bool:
    """Whether the record was sealed with this key."""
    seal = record.get("seal")
    return isinstance(seal, str) and seal.isascii() and hmac.compare_digest(seal, _seal(record, key))


def _seal(record: Mapping[str, Any], key: bytes) -> str:
    rest = {name: value for name, value in record.items() if name not in ("seal", "hash")}
    return hmac.new(key, b"seal\0" + canonical(rest), hashlib.sha256).hexdigest()
