"""How does a line get onto the end of the trail whole, whoever else writes and whenever the power goes?

Under an exclusive lock of the file: the last line is read, the new one is joined on to it, written by one
call with O_APPEND and flushed to the disk. What a killed writer left of a line is moved to FILE.torn.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import AuditError, OutOfSpace
from core.files import FULL, sync_folder
from dxtree.audit.chain import LONGEST, Link, NotALink, linked, parsed

TORN = ".torn"
"""Ending of the file beside the trail that keeps the bytes of torn lines."""

_BLOCK = 64 * 1024

Torn = tuple[int, str]
"""How many bytes were moved aside, and their SHA-256."""


@contextmanager
def locked(path: Path) -> Iterator[int]:
    """The trail, open and held against every other thread and process; it is made where it is absent.

    Raises `AuditError` where it is no regular file or cannot be opened.
    """
    handle = _held(path)
    try:
        yield handle
    finally:
        os.close(handle)  # which gives up the lock as well


def joint(handle: int, path: Path) -> tuple[Link, Torn | None]:
    """Where the next line joins on; a torn last line is moved aside first.

    Raises `AuditError` where the line before a torn one does not hold either: no writer leaves that behind.
    """
    end = os.fstat(handle).st_size
    start, line = _last_line(handle, end)
    try:
        return _link_of(line), None
    except NotALink:
        torn = (len(line), hashlib.sha256(line).hexdigest())
    _, before = _last_line(handle, start)
    try:
        link = _link_of(before)
    except NotALink as error:
        raise AuditError(
            f"the end of {path.name} does not hold ({error}); nothing is added to it. "
            "See dxtree audit verify, keep the file and begin another"
        ) from None
    _keep(path.with_name(path.name + TORN), line)
    os.ftruncate(handle, start)
    os.fsync(handle)
    return link, torn


def append(handle: int, path: Path, after: Link, line: Callable[[Link], tuple[bytes, Link]]) -> Link:
    """Writes the line that follows. Raises `OutOfSpace` or `AuditError`; the trail then ends as before."""
    content, link = line(after)
    end = os.fstat(handle).st_size
    try:
        _write(handle, content)
        os.fsync(handle)
        if not end:
            sync_folder(path.parent)
    except OSError as error:
        _take_back(handle, end)
        if error.errno in FULL:
            raise OutOfSpace(f"the disk is full; {path.name} ends as before") from error
        raise AuditError(f"{path.name} cannot be written ({type(error).__name__})") from error
    return link


def settled(handle: int) -> int:
    """Bytes of the trail at a moment at which nobody writes."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_SH)
        size = os.fstat(handle).st_size
        fcntl.flock(handle, fcntl.LOCK_UN)
        return size
    return os.fstat(handle).st_size


def joined(content: dict[str, object], key: bytes) -> Callable[[Link], tuple[bytes, Link]]:
    """What `append` asks for: the content as the line after any other."""
    return lambda after: linked(content, after, key)


def _held(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        try:
            handle = os.open(path, flags, 0o600)
        except OSError as error:
            raise AuditError(
                f"{path.name} cannot be opened ({type(error).__name__}); name a file that can be written"
            ) from None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise AuditError(f"{path.name} is no regular file; name another")
            _lock(handle)
            if _is_still(path, handle):
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # it was moved away while we waited


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, 2**31 - 2, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX)


def _last_line(handle: int, end: int) -> tuple[int, bytes]:
    """Start and bytes of what follows the last newline before the last byte of `end`."""
    found, at = b"", end
    while at > 0 and len(found) <= LONGEST:
        size = min(_BLOCK, at)
        at -= size
        block = _read(handle, at, size)
        cut = block.rfind(b"\n", 0, size - 1 if at + size == end else size)
        found = block[cut + 1 :] + found
        if cut >= 0:
            return at + cut + 1, found
    return at, found


def _read(handle: int, at: int, size: int) -> bytes:
    os.lseek(handle, at, os.SEEK_SET)
    found = b""
    while len(found) < size and (more := os.read(handle, size - len(found))):
        found += more
    return found


def _link_of(line: bytes) -> Link:
    if not line:
        return Link()
    record = parsed(line)
    index = record.get("index")
    if not isinstance(index, int):
        raise NotALink("the record has no number")
    return Link(index, record["hash"])


def _keep(aside: Path, content: bytes) -> None:
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            _write(handle, content.rstrip(b"\n") + b"\n")
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(aside.parent)
    except OSError as error:
        kind = OutOfSpace if error.errno in FULL else AuditError
        raise kind(f"a torn line cannot be moved to {aside.name}; the trail is as before") from error


def _write(handle: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(handle, left) :]


def _take_back(handle: int, end: int) -> None:
    try:
        os.ftruncate(handle, end)
        os.fsync(handle)
    except OSError:
        return  # the next writer finds a torn line and moves it aside
