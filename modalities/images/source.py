"""Which bytes does a caller mean, and may they be read?"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from core.errors import ImageTooLarge, InputError, PathRejected

# O_NONBLOCK: a FIFO put in place of the file between the check and the opening must not hang us.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read_source(
    source: bytes | str | os.PathLike[str], max_bytes: int, root: str | os.PathLike[str] | None = None
) -> bytes:
    """The bytes themselves, or those of a regular file of at most `max_bytes` bytes.

    A relative path counts from the working directory. With `root`, the path must lie below that folder
    once every symbolic link is followed; bytes are not held against it.

    Raises `PathRejected` (missing, not readable, not a regular file, outside `root`), `ImageTooLarge`,
    and `InputError` where `source` is neither bytes nor a path. No message repeats the path: file names
    carry the names of patients.
    """
    if isinstance(source, bytes):
        return source
    if not isinstance(source, (str, os.PathLike)):
        raise InputError("image must be bytes or the path of a file")
    path = _resolve(source, "image path")
    if root is not None and not path.is_relative_to(_resolve(root, "root of the image paths")):
        raise PathRejected("image path leads outside the allowed folder; move the file into it")
    try:
        return _read_regular(path, max_bytes)
    except OSError as error:
        raise PathRejected(f"image path cannot be read ({type(error).__name__})") from None


def _resolve(path: str | os.PathLike[str], field: str) -> Path:
    try:
        return Path(os.fsdecode(path)).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: NUL; RuntimeError: a loop of links
        raise PathRejected(f"{field} does not exist or cannot be followed ({type(error).__name__})") from None


def _read_regular(path: Path, max_bytes: int) -> bytes:
    _require_regular(path.stat())
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        _require_regular(os.fstat(descriptor))
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ImageTooLarge(f"image has more than {max_bytes} bytes, the most that is read")
    return data


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise PathRejected("image path is not a regular file")
