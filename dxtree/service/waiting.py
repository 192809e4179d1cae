"""Which requests are worked on, which wait, which are refused? No more is accepted than can be answered."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import accumulate
from operator import sub
from typing import TypeVar

from dxtree.service.problems import Problem, busy

T = TypeVar("T")
FAULTS, WITHIN = 5, 60.0
"""So many faults of the service's own in so many seconds, and it says that it is not ready."""


class WaitingRoom:
    """Runs work on `workers` threads; `waiting` more may wait, none for more than about `patience` seconds.

    All methods are called in the event loop.
    """

    def __init__(self, workers: int, waiting: int, per_client: int, seconds: float, patience: float) -> None:
        self.workers, self.places, self.per_client = workers, workers + waiting, per_client
        self.seconds, self.patience = seconds, patience
        self.open = True
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="dxtree-serve")
        self._inside = 0
        self._clients: Counter[str] = Counter()
        self._gaps: deque[float] = deque(maxlen=64)
        """Seconds from one that left to the next, while every thread was at work."""
        self._left: float | None = None
        self._faults: deque[float] = deque(maxlen=FAULTS)

    @property
    def inside(self) -> int:
        """Requests that are worked on or wait."""
        return self._inside

    @property
    def steady(self) -> bool:
        """False while the last `FAULTS` faults lie within `WITHIN` seconds."""
        full = len(self._faults) == FAULTS
        return not (full and time.monotonic() - self._faults[0] < WITHIN)

    def check(self, client: str) -> None:
        """Raises `Problem` 429 or 503 where there is no place now, so that no body is read for nothing."""
        if (under_way := self._clients.get(client, 0)) >= self.per_client:
            raise busy(math.ceil(self._wait(under_way)), client=True)
        if self._inside < self.workers and self.open:
            return
        wait = self._wait(self._inside)
        if self._inside >= self.places or wait > self.patience or not self.open:
            raise busy(math.ceil(wait), client=False)

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """A place for the block. Raises what `check` raises."""
        self.check(client)
        self._inside += 1
        self._clients[client] += 1
        try:
            yield
        finally:
            self._note_leaving()
            self._inside -= 1
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` gives, from a thread. Raises `Problem` 504 where it takes too long, waiting included.

        Work that has begun cannot be stopped: its thread is busy until it ends.
        """
        began = time.monotonic()
        task = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self.seconds)
        except TimeoutError:
            if not task.cancel():
                task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self.note_fault()
            waited = round(time.monotonic() - began)
            raise Problem(504, "Timeout", f"no answer within {waited} s; try again later") from None

    def note_fault(self) -> None:
        """Counts a fault of the service's own, which no other request would mend."""
        self._faults.append(time.monotonic())

    def close(self) -> None:
        """Ends the threads once they have answered."""
        self.open = False
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _note_leaving(self) -> None:
        now = time.monotonic()
        if self._inside < self.workers:
            self._left = None
            return
        if self._left is not None:
            self._gaps.append(now - self._left)
        self._left = now

    def _wait(self, ahead: int) -> float:
        """Seconds until so many have left, as slowly as so many did of late; 0 while nothing is known."""
        if not self._gaps:
            return 0.0
        sums = list(accumulate(self._gaps, initial=0.0))
        run = min(ahead, len(self._gaps))
        return max(map(sub, sums[run:], sums)) * ahead / run if run else 0.0
