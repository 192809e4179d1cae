"""Who works in a folder? At most one process at a time."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from core.errors import RunLocked


@contextmanager
def held(folder: Path, doing: str = "works") -> Generator[None]:
    """Makes the folder and holds it against a second process, until the block or the process ends.

    Raises `RunLocked` where one holds it already; `doing` says in its message what that one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            _lock(file.fileno())
        except OSError:
            raise RunLocked(
                f"another process {doing} in {folder.name}; wait for it or choose a folder"
            ) from None
        yield


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
