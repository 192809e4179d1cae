"""What are the lines of a UTF-8 file from a certain byte on?"""

from __future__ import annotations

from typing import IO

from core.errors import InputError

MOST = 1 << 20
"""Bytes that a line may have."""
_MARK = b"\xef\xbb\xbf"


class Lines:
    """Iterates the lines, line ends included. `offset` is the number of bytes read, `number` that of lines.

    A byte order mark at the file's beginning is left out. Raises `InputError` for a line that is not UTF-8 or
    longer than a MiB.
    """

    def __init__(self, file: IO[bytes], name: str, *, offset: int = 0) -> None:
        file.seek(offset)
        self.offset, self.number = offset, 0
        self._file, self._name = file, name

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MOST + 1)
        if not line:
            raise StopIteration
        if len(line) > MOST:
            raise InputError(f"{self._name}, line {self.number + 1} has more than {MOST} bytes")
        text = line.removeprefix(_MARK) if self.offset == 0 else line
        self.offset += len(line)
        self.number += 1
        try:
            return text.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{self._name}, line {self.number} is not UTF-8; save it as such") from None
