"""Is a trail of several files one chain, and is an old file removed only when it may be, and said to be?"""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.case import Case, ImageInput
from core.diagnosis import Diagnosis
from core.errors import AuditError
from dxtree.audit import AuditTrail, key_beside, read_key, records, rotate, segments, verify, verify_all
from dxtree.audit import record as record_module
from dxtree.audit import rotating as rotating_module
from dxtree.cli.main import app

CASE = Case(images=(ImageInput(modality="dermoscopy", data=b"x"),))
ANSWER = Diagnosis("case", "abstained", None, None, (), "none", (), ())


@pytest.fixture
def trail(tmp_path: Path) -> AuditTrail:
    found = AuditTrail(tmp_path / "trail.jsonl")
    for _ in range(3):
        found.record(CASE, ANSWER)
    return found


def key_of(trail: AuditTrail) -> bytes:
    return read_key(key_beside(trail.path))


def grown(trail: AuditTrail, times: int = 3) -> bytes:
    """A trail of so many segments, three records each."""
    for _ in range(times):
        rotate(trail.path, key_of(trail))
        for _ in range(3):
            trail.record(CASE, ANSWER)
    return key_of(trail)


def test_a_rotated_trail_is_one_chain_of_all_its_records(trail: AuditTrail) -> None:
    key = grown(trail)
    found = verify_all(trail.path, keys=[key])
    assert found.holds and found.seals_checked
    assert found.records == 12 + 3  # each new file begins with a record of the rotation
    assert list(segments(trail.path)) == [1, 2, 3]
    assert trail.path.stat().st_mode & 0o077 == 0
    heads = [verify(one).head for one in (trail.path, *segments(trail.path).values())]
    assert all(verify_all(trail.path, keys=[key], head=head).holds for head in heads)
    assert not verify_all(trail.path, keys=[key], head="0" * 63 + "1").holds


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_segment_that_is_lost_cut_or_changed_is_found(trail: AuditTrail, number: int) -> None:
    key = grown(trail)
    segment = segments(trail.path)[number]
    whole = segment.read_bytes()
    segment.unlink()
    assert "missing" in str(verify_all(trail.path, keys=[key]).fault)
    for damaged in (
        b"".join(whole.splitlines(keepends=True)[:-1]),
        whole.replace(b"abstained", b"abstainee", 1),
    ):
        segment.write_bytes(damaged)
        assert verify_all(trail.path, keys=[key]).fault is not None
    segment.write_bytes(whole)
    assert verify_all(trail.path, keys=[key]).holds


def test_a_new_trail_in_place_of_the_old_one_is_found(trail: AuditTrail, tmp_path: Path) -> None:
    key = grown(trail)
    trail.path.unlink()
    AuditTrail(trail.path).record(CASE, ANSWER)
    assert "replaced" in str(verify_all(trail.path, keys=[key]).fault)


def test_old_segments_go_oldest_first_and_the_trail_says_so(
    trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = grown(trail)

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(days=200)

    assert rotate(trail.path, key, keep_days=183).removed == ()
    monkeypatch.setattr(rotating_module, "datetime", Later)
    done = rotate(trail.path, key, keep_days=183)
    assert [one.name for one in done.removed] == [f"trail.jsonl.{k}" for k in (1, 2, 3, 4)]
    assert list(segments(trail.path)) == [5]
    assert next(iter(records(trail.path)))["removed"] == [1, 2, 3, 4]
    assert verify_all(trail.path, keys=[key]).holds
    segments(trail.path)[5].unlink()
    assert not verify_all(trail.path, keys=[key]).holds


def test_less_than_half_a_year_is_refused_and_so_is_a_trail_that_does_not_hold(trail: AuditTrail) -> None:
    key = key_of(trail)
    for days in (182, 0, -1):
        with pytest.raises(AuditError, match="183"):
            rotate(trail.path, key, keep_days=days)
    with pytest.raises(AuditError, match="sealed"):
        rotate(trail.path, os.urandom(32))
    whole = trail.path.read_bytes()
    trail.path.write_bytes(whole.replace(b"abstained", b"abstainee", 1))
    with pytest.raises(AuditError, match="line 1"):
        rotate(trail.path, key)
    assert list(segments(trail.path)) == []
    with pytest.raises(AuditError):
        rotate(trail.path.with_name("absent"), key)


def test_a_rotation_that_is_killed_halfway_is_finished_by_the_next(
    trail: AuditTrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = key_of(trail)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rotating_module, "write_whole", killed)
        with pytest.raises(KeyboardInterrupt):
            rotate(trail.path, key)
    assert verify_all(trail.path, keys=[key]).records == 3
    trail.record(CASE, ANSWER)
    assert verify_all(trail.path, keys=[key]).records == 4
    assert rotate(trail.path, key).closed.index == 4
    assert list(segments(trail.path)) == [1]
    assert verify_all(trail.path, keys=[key]).records == 5


def test_writers_go_on_while_a_trail_is_rotated(trail: AuditTrail) -> None:
    key = key_of(trail)
    threads = [
        threading.Thread(target=lambda: [trail.record(CASE, ANSWER) for _ in range(25)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for _ in range(5):
        rotate(trail.path, key)
    for thread in threads:
        thread.join()
    assert verify_all(trail.path, keys=[key]).records == 3 + 100 + 5


def test_the_command_rotates_and_verify_reads_every_file(trail: AuditTrail) -> None:
    run = CliRunner()
    closed = run.invoke(app, ["audit", "rotate", str(trail.path)])
    assert closed.exit_code == 0, closed.output
    assert "trail.jsonl.1 closed with 3 records" in closed.output
    whole = run.invoke(app, ["audit", "verify", str(trail.path)])
    assert (whole.exit_code, "4 records hold in trail.jsonl and 1 segments" in whole.output) == (0, True)
    segments(trail.path)[1].unlink()
    assert run.invoke(app, ["audit", "verify", str(trail.path)]).exit_code == 1
    short = run.invoke(app, ["audit", "rotate", str(trail.path), "--keep-days", "30"])
    assert short.exit_code != 0


def test_the_kinds_of_record_are_told_apart() -> None:
    assert len({record_module.DIAGNOSIS, record_module.ROTATED, record_module.TORN}) == 3
