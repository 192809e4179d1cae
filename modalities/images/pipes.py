"""How are bytes sent to a process, and received, that may never take or send them?

Each call ends at a deadline. No thread is started for it: one that waits in `poll` costs nothing.
"""

from __future__ import annotations

import math
import os
import select
import time
from contextlib import suppress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_CAPACITY = 1 << 20
"""Bytes that a pipe should hold: one picture for a net, so that the worker need not wait while it writes."""


class Pipe:
    """One end of a pipe. `until`: when its calls raise `TimeoutError`, by `time.monotonic`."""

    def __init__(self, descriptor: int, event: int) -> None:
        self.until = math.inf
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, event)
        os.set_blocking(descriptor, False)
        if fcntl is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # the system's limit for one user may be reached
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _CAPACITY)

    def _wait(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0 or not self._poll.poll(math.ceil(min(left, 1e6) * 1000)):
            raise TimeoutError


class Outgoing(Pipe):
    """The end that is written to."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, select.POLLOUT)

    def write(self, data: memoryview, /) -> int:
        """Takes some or all of `data`."""
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                self._wait()


class Incoming(Pipe):
    """The end that is read from."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, select.POLLIN)

    def read(self, size: int, /) -> bytearray:
        """`size` bytes, or fewer where the other side has hung up."""
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            try:
                count = os.readv(self._descriptor, [rest])
            except BlockingIOError:
                self._wait()
                continue
            if not count:
                return data[: size - len(rest)]
            rest = rest[count:]
        return data
