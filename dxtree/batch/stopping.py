"""What happens on Ctrl-C or SIGTERM? Rows that are finished are kept where one asks for that, else shards."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; what stands in its folder is whole. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Stop:
    """Whether a signal came. Inside `gently` the first one is only noted; any other raises `Interrupted`."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._gentle = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes both signals for the block. Only the main thread may."""
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def gently(self) -> Iterator[None]:
        """For a block that asks `number` after every row, and ends by `check`."""
        self._gentle = True
        try:
            yield
        finally:
            self._gentle = False

    def check(self) -> None:
        """Raises `Interrupted` where a signal came."""
        if self.number is not None:
            raise Interrupted(self.number)

    def _note(self, number: int, _: FrameType | None) -> None:
        again, self.number = self.number is not None, number
        if again or not self._gentle:
            raise Interrupted(number)
