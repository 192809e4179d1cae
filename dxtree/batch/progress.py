"""Whom is told how far a run is? Numbers alone, nothing about a case."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Rows done and faults among them, as they come."""

    def begin(self, rows: int, done: int) -> None:
        """So many rows there are, of which so many were done before."""
        ...

    def advance(self, rows: int, faults: int) -> None:
        """So many more were done, with so many faults."""
        ...


class Silent:
    """Tells nobody. Satisfies `Progress`."""

    def begin(self, rows: int, done: int) -> None:
        """Nothing."""

    def advance(self, rows: int, faults: int) -> None:
        """Nothing."""
