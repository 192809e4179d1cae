"""How are several ways of doing one thing timed fairly? Turn by turn, in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Task = Callable[[], object]


@dataclass(frozen=True)
class Interleaved:
    """Seconds of every call by task. All tasks had the same rounds, so a busy moment hits them alike."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, task: str) -> float:
        """Median seconds of a call."""
        return statistics.median(self.seconds[task])

    def percentile(self, task: str, share: float) -> float:
        """Seconds that this share of the calls did not exceed: the nearest-rank percentile."""
        ordered = sorted(self.seconds[task])
        return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]

    def ratio(self, task: str, other: str) -> float:
        """Median, over rounds, of how many times as long `task` took as `other` in the same round."""
        pairs = zip(self.seconds[task], self.seconds[other], strict=True)
        return statistics.median(a / b for a, b in pairs)


def interleaved(
    tasks: Mapping[str, Task],
    *,
    rounds: int,
    warm_up: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Interleaved:
    """Calls every task once a round, in an order that turns by one each round; the first calls do not count.

    `progress` is told finished and total rounds. Whatever a task raises goes to the caller.
    """
    names = list(tasks)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        for _ in range(warm_up):
            tasks[name]()
    for done in range(rounds):
        turn = done % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            tasks[name]()
            seconds[name].append(time.perf_counter() - start)
        if progress is not None:
            progress(done + 1, rounds)
    return Interleaved(seconds)
