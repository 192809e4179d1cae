"""Does metrics.jsonl tell of every epoch once, wherever its last line was cut?"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import OutOfSpace
from modalities.training import loop
from modalities.training.checkpoint import checkpoints
from modalities.training.config import TrainingConfig
from modalities.training.data import draw_weights
from modalities.training.journal import append, forget_after, read
from modalities.training.loop import TrainingSet, fit

STEPS = 3
"""Steps of an epoch."""
here = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def row(epoch: int) -> dict[str, Any]:
    """What a run tells of an epoch; the same whenever it does."""
    return {"step": (epoch + 1) * STEPS, "epoch": epoch, "loss": 1 / (epoch + 3), "note": "läsion \u2028 é"}


def tell(path: Path, first: int, end: int) -> None:
    for epoch in range(first, end):
        append(path, row(epoch))


def cut(path: Path, at: int) -> None:
    path.write_bytes(path.read_bytes()[:at])


def epochs(path: Path) -> list[int]:
    return [r["epoch"] for r in read(path) if "epoch" in r]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


# what is read


def test_what_is_told_is_read_in_order(path: Path) -> None:
    append(path, {"event": "resumed", "step": 0})
    tell(path, 0, 4)
    assert read(path) == [{"event": "resumed", "step": 0}, *map(row, range(4))]


def test_without_a_file_nothing_was_told(path: Path) -> None:
    assert read(path) == []
    forget_after(path, 5)
    assert read(path) == []


@here
@given(chance=st.data())
def test_of_a_file_cut_at_any_byte_the_whole_lines_are_read(chance: st.DataObject, path: Path) -> None:
    path.unlink(missing_ok=True)
    tell(path, 0, 4)
    whole = path.read_bytes()
    at = chance.draw(st.integers(0, len(whole)))
    cut(path, at)
    # A line is whole without its newline too.
    lines = (whole[: at + 1] if whole[at : at + 1] == b"\n" else whole[:at]).count(b"\n")
    assert read(path) == [row(epoch) for epoch in range(lines)]


@pytest.mark.parametrize(
    "damage", [b"\0" * 300, b"\xff\xfe{", b"[1, 2]\n", b"7\n", b"null\n", b"\n\n", b"NaN\n"]
)
def test_what_is_no_row_is_passed_over(damage: bytes, path: Path) -> None:
    tell(path, 0, 2)
    path.write_bytes(damage + b"\n" + path.read_bytes() + damage)
    assert read(path) == [row(0), row(1)]


# what a resumed run forgets


@here
@given(told=st.integers(0, 8), step=st.integers(0, 8 * STEPS))
def test_epochs_that_ended_after_the_step_are_dropped_and_events_stay(
    told: int, step: int, path: Path
) -> None:
    path.unlink(missing_ok=True)
    append(path, {"event": "started from weights"})
    tell(path, 0, told)
    append(path, {"event": "resumed", "step": 999})
    forget_after(path, step)
    assert epochs(path) == [e for e in range(told) if row(e)["step"] <= step]
    assert [r["event"] for r in read(path) if "event" in r] == ["started from weights", "resumed"]
    before = path.read_bytes()
    forget_after(path, step)
    assert path.read_bytes() == before


@here
@given(chance=st.data())
def test_however_often_it_is_killed_a_run_tells_of_every_epoch_once(
    chance: st.DataObject, path: Path
) -> None:
    """An epoch is told of before its checkpoint: only what a checkpoint does not hold can be cut."""
    path.unlink(missing_ok=True)
    end = chance.draw(st.integers(1, 6))
    step = 0
    for _ in range(chance.draw(st.integers(0, 6))):
        forget_after(path, step)
        append(path, {"event": "resumed", "step": step})
        reached = chance.draw(st.integers(step // STEPS, end))
        saved = chance.draw(st.integers(step // STEPS, reached))
        tell(path, step // STEPS, saved)
        safe = path.stat().st_size
        tell(path, saved, reached)
        step = max(step, saved * STEPS)
        if saved < end:
            step += chance.draw(st.integers(0, STEPS - 1 - step % STEPS))
        cut(path, chance.draw(st.integers(safe, path.stat().st_size)))
    forget_after(path, step)
    tell(path, step // STEPS, end)
    assert [r for r in read(path) if "epoch" in r] == [row(epoch) for epoch in range(end)]


@here
@given(chance=st.data())
def test_cut_anywhere_no_epoch_is_ever_told_of_twice_or_in_another_order(
    chance: st.DataObject, path: Path
) -> None:
    """A machine that lost its power may lose lines that a checkpoint holds: they are missing, not doubled."""
    path.unlink(missing_ok=True)
    step = 0
    for _ in range(4):
        forget_after(path, step)
        tell(path, step // STEPS, step // STEPS + chance.draw(st.integers(0, 3)))
        step = STEPS * chance.draw(st.integers(step // STEPS, step // STEPS + 3))
        if path.is_file():
            cut(path, chance.draw(st.integers(0, len(path.read_bytes()))))
    forget_after(path, step)
    tell(path, step // STEPS, step // STEPS + 2)
    found = epochs(path)
    assert found == sorted(set(found))
    assert found[-2:] == [step // STEPS, step // STEPS + 1]


def test_a_line_that_was_cut_short_does_not_swallow_the_next(path: Path) -> None:
    tell(path, 0, 2)
    cut(path, len(path.read_bytes()) - 5)
    forget_after(path, 2 * STEPS)
    append(path, {"event": "resumed", "step": 6})
    assert path.read_bytes().count(b"\n") == 2
    assert read(path) == [row(0), {"event": "resumed", "step": 6}]


def test_a_full_disk_is_out_of_space(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutOfSpace, match=r"metrics\.jsonl was not written"):
        append(path, row(0))


# a run


CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=2,
    batch=4,
    checkpoint_seconds=1e9,
    precision="fp32",
)


class Stopped(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture
def data(drawn: Callable[..., Any]) -> TrainingSet:
    targets = np.array([k % 2 for k in range(8)], np.int64)
    pixels = [drawn(("benign:nevus", "malignant:melanoma")[t], k, 64, 64) for k, t in enumerate(targets)]
    return TrainingSet(pixels, targets, draw_weights(["a"] * 8, 1), 2)


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


def told(folder: Path) -> list[tuple[int, int, float]]:
    return [(r["step"], r["epoch"], r["loss"]) for r in read(folder / "metrics.jsonl") if "epoch" in r]


@pytest.fixture
def whole(data: TrainingSet, tmp_path: Path) -> list[tuple[int, int, float]]:
    fit(data, CONFIG, None, tmp_path / "whole", ignore)
    found = told(tmp_path / "whole")
    assert [(step, epoch) for step, epoch, _ in found] == [(2, 0), (4, 1)]
    return found


@pytest.mark.parametrize("killed_at", [2, 4])
def test_killed_between_the_line_and_its_checkpoint_a_run_tells_of_the_epoch_once(
    killed_at: int,
    data: TrainingSet,
    whole: list[tuple[int, int, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first epoch is told of before there is any checkpoint at all."""
    save = loop._Run._save

    def dies(self: Any) -> None:
        if self.step == killed_at:
            raise Stopped
        save(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_save", dies)
        with pytest.raises(Stopped):
            fit(data, CONFIG, None, tmp_path / "run", ignore)
    assert len(told(tmp_path / "run")) == killed_at / 2
    fit(data, CONFIG, None, tmp_path / "run", ignore)
    assert told(tmp_path / "run") == whole


def test_where_every_checkpoint_is_damaged_the_new_beginning_tells_of_its_own_epochs_alone(
    data: TrainingSet, whole: list[tuple[int, int, float]], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    fit(data, CONFIG, None, folder, ignore)
    for path in checkpoints(folder):
        (path / "state.json").write_bytes(b"")
    cut(folder / "metrics.jsonl", (folder / "metrics.jsonl").stat().st_size - 9)
    fit(data, CONFIG, None, folder, ignore)
    assert told(folder) == whole
    events = [r["event"] for r in read(folder / "metrics.jsonl") if "event" in r]
    assert events == ["damaged checkpoint passed over"] * 2, "nor is one swallowed by a line cut short"


def test_the_loss_of_an_epoch_that_was_interrupted_is_the_mean_over_all_its_steps(
    data: TrainingSet, whole: list[tuple[int, int, float]], tmp_path: Path
) -> None:
    def stop(at: int) -> Callable[[dict[str, Any]], None]:
        def report(row: dict[str, Any]) -> None:
            if row["step"] == at:
                raise Stopped

        return report

    often = CONFIG.model_copy(update={"checkpoint_seconds": 1e-9})
    for step in (2, 4):
        with pytest.raises(Stopped):
            fit(data, often, None, tmp_path / "run", stop(step))
    fit(data, often, None, tmp_path / "run", ignore)
    assert told(tmp_path / "run") == whole
    assert all(json.loads(json.dumps(loss)) == loss for _, _, loss in whole)
