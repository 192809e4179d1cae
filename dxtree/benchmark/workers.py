"""How is work spread over processes, so that a benchmark takes half the time on two cores?"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any, TypeVar

from core.errors import PluginError

Task = TypeVar("Task")
Found = TypeVar("Found")


class Workers:
    """Processes that start when they are first needed; with one job everything is done in this process.

    `start` is called with `arguments` once in each process before its first task. Functions and tasks are
    sent to other processes, so they are those of modules. Used in a `with` block, whose end stops them.
    """

    def __init__(self, jobs: int, start: Callable[..., None], *arguments: Any) -> None:
        self.jobs, self._start, self._arguments = jobs, start, arguments
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=error is None, cancel_futures=True)

    def each(self, function: Callable[[Task], Found], tasks: Sequence[Task]) -> Iterator[tuple[Task, Found]]:
        """Every task with its result, as they come. What a task raises is raised here."""
        if self.jobs == 1 or len(tasks) < 2:
            yield from ((task, function(task)) for task in tasks)
            return
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")  # a fork after threads have run would hang
            self._pool = ProcessPoolExecutor(
                self.jobs, spawn, initializer=self._start, initargs=self._arguments
            )
        futures = {self._pool.submit(function, task): task for task in tasks}
        left = set(futures)
        while left:
            done, left = wait(left, return_when=FIRST_COMPLETED)
            for future in done:
                try:
                    result = future.result()
                except BrokenProcessPool:
                    raise PluginError(
                        "a process that fits died; a fuser of a plugin must be named in `plugins`, and a "
                        "script with several processes guards its start with `if __name__ == '__main__'`"
                    ) from None
                yield futures[future], result
