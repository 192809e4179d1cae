"""Which worker does an image go to? A free one, or a new one while there are fewer than allowed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from modalities.images.child import Child


class Pool:
    """At most `workers` processes, started as they are needed; each serves one thread at a time.

    `module` is what they run; see `modalities.images.child.Child`.
    """

    def __init__(self, workers: int, module: str = "modalities.images.worker") -> None:
        self._workers, self._module = workers, module
        self._places = threading.Semaphore(workers)
        self._closing = threading.Lock()
        self._lists = threading.Lock()
        self._idle: list[Child] = []
        self._asked: set[Child] = set()

    @contextmanager
    def child(self) -> Iterator[Child]:
        """A worker of one's own for the block. One that died in it is not used again."""
        with self._places:
            child = self._take()
            try:
                yield child
            finally:
                self._put_back(child)

    def start(self) -> None:
        """Start one worker, without waiting until it is up, where none runs and a place is free."""
        if self._places.acquire(blocking=False):
            try:
                if not self.pids:
                    self._put_back(self._take())
            finally:
                self._places.release()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of the running workers."""
        with self._lists:
            children = (*self._idle, *self._asked)
        return tuple(sorted(child.pid for child in children if child.alive))

    def close(self) -> None:
        """End every worker once it has answered."""
        with self._closing, ExitStack() as places:  # two at once would wait for each other's places
            for _ in range(self._workers):
                places.enter_context(self._places)
            while self._idle:
                self._idle.pop().end()

    def _take(self) -> Child:
        """A worker that lives: one that has died since it answered, or while it did, is cleared away here."""
        while (child := self._last_idle()) is not None:
            if child.alive:
                break
            child.end()
        child = child or Child(self._module)
        with self._lists:
            self._asked.add(child)
        return child

    def _last_idle(self) -> Child | None:
        # The one that answered last: it is warm, and the others may be put out to swap.
        with self._lists:
            return self._idle.pop() if self._idle else None

    def _put_back(self, child: Child) -> None:
        with self._lists:
            self._asked.discard(child)
            self._idle.append(child)
