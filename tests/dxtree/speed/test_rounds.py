"""Interleaved rounds: every task as often, in turn, and what is said of the seconds."""

from __future__ import annotations

import time

import pytest

from dxtree.speed import Machine, interleaved
from dxtree.speed.rounds import Interleaved


def test_every_task_runs_once_a_round_and_the_first_turn_goes_round() -> None:
    calls: list[str] = []
    tasks = {name: (lambda n=name: calls.append(n)) for name in "abc"}
    found = interleaved(tasks, rounds=3, warm_up=2)
    assert "".join(calls) == "aabbcc" + "abc" + "bca" + "cab"
    assert {n: len(s) for n, s in found.seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_progress_is_told_after_every_round() -> None:
    told: list[tuple[int, int]] = []
    interleaved({"a": lambda: None}, rounds=2, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_a_longer_task_takes_longer_by_its_ratio() -> None:
    found = interleaved({"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.02)}, rounds=5)
    assert found.ratio("long", "short") > 4
    assert found.median("long") >= 0.02


def test_a_ratio_is_taken_within_the_round_so_that_a_busy_moment_cancels() -> None:
    found = Interleaved({"a": [2.0, 20.0, 2.0], "b": [1.0, 10.0, 1.0]})
    assert found.ratio("a", "b") == 2.0


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 5.0), (0.99, 10.0), (1.0, 10.0), (0.1, 1.0), (0.0, 1.0)]
)
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: float) -> None:
    found = Interleaved({"a": [float(k) for k in range(10, 0, -1)]})
    assert found.percentile("a", share) == expected


def test_what_a_task_raises_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        interleaved({"a": lambda: 1 // 0}, rounds=1)


def test_the_machine_says_what_decides_a_speed() -> None:
    machine = Machine.here()
    assert machine.cores >= 1
    assert "numpy" in machine.packages
    assert machine.python in str(machine)
