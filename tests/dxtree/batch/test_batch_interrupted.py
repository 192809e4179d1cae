"""Does a run lose or double a row, whatever ends it? It ends with the bytes of one that nothing ended."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from core.errors import ContractError, InputError, OutOfSpace, RunLocked
from core.locking import held
from dxtree.batch import Batch, Interrupted, Stop
from dxtree.batch.lines import is_fault
from tests.dxtree.batch.conftest import RECIPE, Told, batch, command, content, invoke, lines, write_csv

RESUMED = "what was saved is whole, the same command resumes"


def started(cases: Path, out: Path, *options: object) -> subprocess.Popen[str]:
    """A process that has claimed its folder: it diagnoses, or is about to."""
    process = subprocess.Popen(
        command(cases, out, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not (out / "run.json").is_file() and process.poll() is None:
        time.sleep(0.002)
    return process


def no_child_is_left(children: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(children, timeout=10)
    return not alive


def killed_at_a_random_moment(cases: Path, out: Path, seconds: float, *options: object) -> None:
    process = started(cases, out, *options)
    time.sleep(random.uniform(0, seconds))
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    process.communicate(timeout=60)
    assert no_child_is_left(children)


def finished(cases: Path, out: Path, *options: object) -> None:
    done = invoke(cases, out, *options, "--keep-going")
    assert done.returncode == 0, done.stderr


def test_after_kill_9_the_same_command_ends_with_the_bytes_of_an_uninterrupted_run(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        killed_at_a_random_moment(folder / "cases.csv", tmp_path / "out", 0.5, "--shard-rows", 7)
    finished(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7)
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.slow
def test_after_fifty_kills_nothing_is_lost_or_doubled(folder: Path, whole: Path, tmp_path: Path) -> None:
    kills = runs = 0
    while kills < 50:
        out = tmp_path / f"out{runs}"
        runs += 1
        for _ in range(5):
            killed_at_a_random_moment(folder / "cases.csv", out, 1.5, "--shard-rows", 7)
            kills += 1
        finished(folder / "cases.csv", out, "--shard-rows", 7)
        assert content(out) == content(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_within_ten_seconds_and_leaves_no_process(
    folder: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = started(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7)
    time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    start = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert time.monotonic() - start < 10
    if process.returncode != 1:  # 1: it was done before the signal came
        assert (process.returncode, RESUMED in told) == (128 + number, True), told
    assert no_child_is_left(children)
    assert not list((tmp_path / "out").rglob("*.partial"))
    finished(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7)
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.parametrize("rows", [1, 7, 8, 17, 33])
def test_what_was_finished_before_a_signal_is_kept_and_not_done_again(
    folder: Path, whole: Path, tmp_path: Path, rows: int
) -> None:
    stop, told = Stop(), Told()

    def at_row(done: int) -> None:
        if done == rows:
            stop.number = signal.SIGTERM

    told.after = at_row
    run = batch(folder / "cases.csv", tmp_path / "out", shard_rows=7)
    with pytest.raises(Interrupted) as caught:
        run.run(stop=stop, progress=told)
    assert caught.value.number == signal.SIGTERM
    assert told.rows == rows
    rest = Told()
    assert run.run(progress=rest).done == 40 - rows
    assert rest.begun == [(40, rows)]
    assert rest.rows == 40 - rows
    assert content(tmp_path / "out") == content(whole)


def test_a_row_told_after_a_signal_is_left_to_the_next_run(folder: Path, whole: Path, tmp_path: Path) -> None:
    """A manager that signals the image decoder too makes it look as if the image were damaged."""

    class Signalled(Stop):
        asked = 0

        @property  # type: ignore[override]
        def number(self) -> int | None:
            self.asked += 1
            return signal.SIGTERM if self.asked > 8 else None  # asked before each row is kept

        @number.setter
        def number(self, _: int | None) -> None: ...

    run = batch(folder / "cases.csv", tmp_path / "out", shard_rows=40)
    with pytest.raises(Interrupted):
        run.run(stop=Signalled())
    (begun,) = (tmp_path / "out" / "shards").glob("*.begun")
    kept = begun.read_bytes().splitlines(keepends=True)
    assert len(kept) == 8
    assert is_fault(kept[7])  # it had one before the signal
    assert run.run().done == 32
    assert len(lines(tmp_path / "out")) == 40


def test_an_option_model_or_case_that_differs_is_refused_by_name_and_nothing_is_touched(
    folder: Path, tmp_path: Path
) -> None:
    rows = [["a", "", "", "", "0-dermoscopy.jpg", ""], ["b", "", "", "", "1-dermoscopy.jpg", ""]]
    cases, out = write_csv(folder / "two.csv", rows), tmp_path / "out"
    batch(cases, out).run()
    before = content(out)
    strict, bayes = replace(RECIPE, strict=True), replace(RECIPE, fuser="bayes")
    clinic = replace(RECIPE, prevalence={"Malignant": 0.1})
    for run, named in (
        (Batch(cases, out, bayes), r"options\.fuser, pipeline\.fuser"),
        (Batch(cases, out, strict), r"options\.strict"),
        (Batch(cases, out, RECIPE, shard_rows=7), "shard_rows"),
        (Batch(cases, out, clinic), r"options\.prevalence\.Malignant, pipeline\.adjustments"),
    ):
        with pytest.raises(InputError, match=rf"holds another run; what differs is {named}\. ") as caught:
            run.run()
        assert caught.value.exit_code == 2
    write_csv(cases, [rows[0], ["b", "", "", "", "2-dermoscopy.jpg", ""]])
    with pytest.raises(InputError, match=r"what differs is cases\.sha256\. "):
        batch(cases, out).run()
    write_csv(cases, rows)
    assert content(out) == before


def test_a_folder_of_something_else_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="holds files of something else"):
        batch(folder / "cases.csv", tmp_path).run()
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json is no JSON object"):
        batch(folder / "cases.csv", tmp_path).run()


def test_a_second_run_in_the_folder_ends_with_6(folder: Path, tmp_path: Path) -> None:
    with held(tmp_path / "out"):
        with pytest.raises(RunLocked, match="another process diagnoses in out"):
            batch(folder / "cases.csv", tmp_path / "out").run()
        done = invoke(folder / "cases.csv", tmp_path / "out")
    assert done.returncode == 6
    assert "another process diagnoses in out" in done.stderr


def test_cases_that_are_written_meanwhile_end_the_run_before_a_shard_of_them(
    folder: Path, tmp_path: Path
) -> None:
    cases = tmp_path / "cases.csv"
    shutil.copy(folder / "cases.csv", cases)
    told = Told(after=lambda done: cases.touch() if done == 10 else None)
    with pytest.raises(InputError, match="was changed while its cases were diagnosed"):
        batch(cases, tmp_path / "out", shard_rows=7, root=folder).run(progress=told)
    assert [p.name for p in (tmp_path / "out" / "shards").iterdir()] == ["00000.jsonl"]


def test_a_shard_with_other_rows_is_named_and_made_anew_once_it_is_removed(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "out")
    shard = tmp_path / "out" / "shards" / "00002.jsonl"
    told = shard.read_bytes().splitlines(keepends=True)
    run = batch(folder / "cases.csv", tmp_path / "out", shard_rows=7)
    for damaged in (told[:-1], [*told, told[-1]], told[::-1], [*told[:-1], told[-1][:-5]]):
        shard.write_bytes(b"".join(damaged))
        with pytest.raises(ContractError, match=r"shard 00002 .* remove the files 00002\.\*"):
            run.run()
    shard.unlink()
    assert run.run().done == 7
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_said_and_the_same_command_goes_on(
    folder: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(self: Path, mode: str = "r", *rest: object, **more: object) -> object:
        at_fault = self.name.startswith("00003.jsonl") and "w" in mode
        return opened(Path("/dev/full") if at_fault else self, mode, *rest, **more)  # type: ignore[call-overload]

    run = batch(folder / "cases.csv", tmp_path / "out", shard_rows=7)
    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OutOfSpace):
        run.run()
    monkeypatch.undo()
    assert run.run().done == 40 - 21
    assert content(tmp_path / "out") == content(whole)
