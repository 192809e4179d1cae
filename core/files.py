"""How is a file written so that it holds all of its content, or what it held before?"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import IO

from core.errors import OutOfSpace, PathRejected

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says of a disk, a quota or a file that is full."""


def write_whole(path: Path, content: bytes) -> None:
    """Writes beside the place, flushes to the disk and renames; see `writing_whole`."""
    with writing_whole(path) as file:
        file.write(content)


@contextmanager
def writing_whole(path: Path) -> Generator[IO[bytes]]:
    """A file beside the place, which is flushed and renamed when the block ends; the folder must exist.

    Where the block raises, the place holds what it held. Several processes may write the same file, on
    several machines, each its own copy first. Raises `OutOfSpace` on a full disk and `PathRejected` where
    the file cannot be written for another reason.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}-{token_hex(4)}.partial")
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        partial.unlink(missing_ok=True)
        if error.errno in FULL:
            raise OutOfSpace(
                f"the disk is full; {path.name} was not written, what was saved is whole"
            ) from error
        raise PathRejected(
            f"{path.name} cannot be written ({type(error).__name__}); name another file or folder"
        ) from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Flushes a folder's list of names to the disk, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
