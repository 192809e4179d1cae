"""How far is a long command? A bar on standard error with rate, time to come and faults."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """A bar that satisfies `dxtree.batch.Progress`; drawn where standard error is a terminal."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("cases"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("faults {task.fields[faults]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, rate="", faults=0)
        self._faults = 0

    def __enter__(self) -> Bar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def begin(self, rows: int, done: int) -> None:
        """So many rows there are, of which so many were done before."""
        self._bar.reset(self._task, total=rows, completed=done)

    def advance(self, rows: int, faults: int) -> None:
        """So many more were done, with so many faults."""
        self._faults += faults
        self._bar.advance(self._task, rows)
        speed = self._bar.tasks[0].speed
        rate = "" if speed is None else f"{speed:.1f}/s"
        self._bar.update(self._task, rate=rate, faults=self._faults)
