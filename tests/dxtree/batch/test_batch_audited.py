"""Does the trail hold every answer of a run once, whatever ends it on the way?"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import AuditError, InputError, OutOfSpace
from dxtree.audit import AuditTrail, read_key, records, rotate, segments, verify_all
from dxtree.batch import Batch, Interrupted, RayPool, Stop
from tests.dxtree.batch.conftest import RECIPE, Told, batch, content, invoke, lines
from tests.dxtree.batch.test_batch_interrupted import killed_at_a_random_moment


def recorded(path: Path) -> list[dict[str, Any]]:
    """The diagnoses of the trail and of its segments, whose chain holds under the key."""
    found = verify_all(path, keys=[read_key(path.with_name(path.name + ".key"))])
    assert found.holds, found.fault
    every = [r for one in (*segments(path).values(), path) for r in records(one)]
    return [r for r in every if r["kind"] == "diagnosis"]


def answered(out: Path) -> dict[int, dict[str, Any]]:
    return {line["row"]: line["diagnosis"] for line in lines(out) if "diagnosis" in line}


def is_told_once(trail: Path, out: Path) -> None:
    """Every diagnosis of the shards has one record, which says the same; a fault has none."""
    answers, found = answered(out), recorded(trail)
    assert Counter(r["batch"]["row"] for r in found) == Counter(list(answers))
    assert len({r["batch"]["run"] for r in found}) == 1
    for record in found:
        answer = answers[record["batch"]["row"]]
        assert record["nodes"] == answer["tree"]
        assert record["answer"] == answer["answer"]


def plain(out: Path) -> dict[str, bytes]:
    return {name: data for name, data in content(out).items() if name != "audit.json"}


def test_every_diagnosis_has_one_record_and_the_answers_are_those_without_a_trail(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    out, trail = tmp_path / "out", tmp_path / "trail.jsonl"
    done = invoke(folder / "cases.csv", out, "--shard-rows", 7, "--audit", trail, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert plain(out) == content(whole)
    is_told_once(trail, out)
    text = trail.read_text("ascii")
    assert "case 1" not in text
    assert "female" not in text


def test_a_finished_run_adds_nothing_and_another_run_of_the_same_cases_is_told_apart(
    folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "trail.jsonl"
    trail = AuditTrail(path)
    batch(folder / "cases.csv", tmp_path / "one", trail=trail).run()
    once = recorded(path)
    batch(folder / "cases.csv", tmp_path / "one", trail=AuditTrail(path)).run()
    assert recorded(path) == once
    batch(folder / "cases.csv", tmp_path / "two", trail=trail).run()
    assert Counter(r["batch"]["run"] for r in recorded(path)).most_common() == [
        (run, len(once)) for run in dict.fromkeys(r["batch"]["run"] for r in recorded(path))
    ]


def test_after_kill_9_no_record_is_missing_or_told_twice(folder: Path, whole: Path, tmp_path: Path) -> None:
    out, trail = tmp_path / "out", tmp_path / "trail.jsonl"
    options = ("--shard-rows", 7, "--audit", trail)
    for _ in range(3):
        killed_at_a_random_moment(folder / "cases.csv", out, 1.0, *options)
    done = invoke(folder / "cases.csv", out, *options, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert plain(out) == content(whole)
    is_told_once(trail, out)


def test_rows_that_were_recorded_and_not_kept_are_not_recorded_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the record and the shard; a rotation in between hides nothing."""
    out, path = tmp_path / "out", tmp_path / "trail.jsonl"

    def full(*_: Any) -> None:
        raise OutOfSpace("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("dxtree.batch.shards.write_whole", full)
        with pytest.raises(OutOfSpace):
            batch(folder / "cases.csv", out, shard_rows=7, trail=AuditTrail(path)).run()
    before = recorded(path)
    assert len(before) >= 5
    rotate(path, read_key(tmp_path / "trail.jsonl.key"))
    batch(folder / "cases.csv", out, shard_rows=7, trail=AuditTrail(path)).run()
    is_told_once(path, out)
    assert recorded(path)[: len(before)] == before


def test_a_row_that_is_answered_otherwise_the_second_time_is_recorded_again(
    folder: Path, tmp_path: Path
) -> None:
    out, path = tmp_path / "out", tmp_path / "trail.jsonl"
    batch(folder / "cases.csv", out, shard_rows=7, trail=AuditTrail(path)).run()
    before = recorded(path)
    (out / "shards" / "00000.jsonl").unlink()
    batch(folder / "cases.csv", out, shard_rows=7, trail=AuditTrail(path)).run()
    assert recorded(path) == before
    (out / "shards" / "00000.jsonl").unlink()
    other = AuditTrail(path, plugins={"another": "1"})
    batch(folder / "cases.csv", out, shard_rows=7, trail=other).run()
    again = Counter(r["batch"]["row"] for r in recorded(path))
    assert {row for row, n in again.items() if n == 2} == {row for row in answered(out) if row <= 7}


def test_a_signal_keeps_what_has_its_record(folder: Path, whole: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", tmp_path / "trail.jsonl"
    stop = Stop()
    told = Told(after=lambda rows: setattr(stop, "number", 15) if rows == 10 else None)
    with pytest.raises(Interrupted):
        batch(folder / "cases.csv", out, shard_rows=7, trail=AuditTrail(path)).run(stop=stop, progress=told)
    batch(folder / "cases.csv", out, shard_rows=7, trail=AuditTrail(path)).run()
    assert plain(out) == content(whole)
    is_told_once(path, out)


def test_a_run_goes_on_with_the_trail_it_began_with_and_with_no_other(folder: Path, tmp_path: Path) -> None:
    cases, out, path = folder / "cases.csv", tmp_path / "out", tmp_path / "trail.jsonl"
    batch(cases, out, trail=AuditTrail(path)).run()
    before = path.read_bytes()
    with pytest.raises(InputError, match="give that by --audit"):
        batch(cases, out).run()
    with pytest.raises(InputError, match="another audit trail"):
        batch(cases, out, trail=AuditTrail(tmp_path / "other.jsonl")).run()
    batch(cases, tmp_path / "untold").run()
    with pytest.raises(InputError, match="answers that no trail has"):
        batch(cases, tmp_path / "untold", trail=AuditTrail(path)).run()
    (out / "audit.json").write_text(json.dumps({"run": 1}))
    with pytest.raises(InputError, match="damaged"):
        batch(cases, out, trail=AuditTrail(path)).run()
    assert path.read_bytes() == before


def test_an_answer_that_cannot_be_recorded_is_not_kept(folder: Path, tmp_path: Path) -> None:
    out, path = tmp_path / "out", tmp_path / "trail.jsonl"
    trail = AuditTrail(path)
    path.write_bytes(b"no trail\nof ours\n")
    with pytest.raises(AuditError):
        batch(folder / "cases.csv", out, shard_rows=7, trail=trail).run()
    assert not list((out / "shards").glob("*.jsonl"))


def test_ray_and_a_trail_do_not_go_together(folder: Path, tmp_path: Path) -> None:
    trail = AuditTrail(tmp_path / "trail.jsonl")
    with pytest.raises(InputError, match="without Ray"):
        replace(Batch(folder / "cases.csv", tmp_path / "out", RECIPE), pool=RayPool(), trail=trail).run()
    assert not (tmp_path / "out").exists()
