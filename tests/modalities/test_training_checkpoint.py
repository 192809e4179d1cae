"""Does a checkpoint survive damage, a full disk and a second process?"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from core.errors import OutOfSpace, PathRejected, RunLocked
from modalities.training.checkpoint import (
    checkpoints,
    load_newest,
    locked,
    save_checkpoint,
    watching_space,
    write_whole,
)

STATE = {"fingerprint": "f" * 64, "bf16": False, "config": {"learning_rate": 1e-3, "seed": 0}}
linux = pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts of Linux")


def tensors(value: float, size: int = 300) -> dict[str, torch.Tensor]:
    return {
        "net/weight": torch.full((size,), value),
        "net/half": torch.tensor([value], dtype=torch.float16),
        "net/num_batches_tracked": torch.tensor(int(value)),
    }


def save(folder: Path, *steps: int) -> None:
    for step in steps:
        save_checkpoint(folder, step, tensors(float(step)), STATE)


def newest(folder: Path) -> tuple[int | None, list[str]]:
    found, damaged = load_newest(folder)
    if found is None:
        return None, damaged
    given, state = found
    wanted = tensors(float(state["step"]))
    assert {k: (v.dtype, v.tolist()) for k, v in given.items()} == {
        k: (v.dtype, v.tolist()) for k, v in wanted.items()
    }
    assert {k: state[k] for k in STATE} == STATE
    return state["step"], damaged


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_is_saved_is_loaded_with_types_and_shapes(tmp_path: Path) -> None:
    save(tmp_path, 3)
    assert newest(tmp_path) == (3, [])


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert load_newest(tmp_path) == (None, [])
    assert load_newest(tmp_path / "absent") == (None, [])


def test_the_two_newest_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 1, 2, 30, 100)
    assert names(tmp_path) == ["step-00000030", "step-00000100"]
    assert newest(tmp_path) == (100, [])


def test_a_step_that_is_saved_again_replaces_the_first(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, tensors(99.0), STATE)
    save(tmp_path, 5)
    assert newest(tmp_path) == (5, [])


def flip(path: Path, at: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1 << (at % 8)
    path.write_bytes(bytes(raw))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped bit in the tensors": lambda p: flip(p / "tensors.safetensors", 700),
    "tensors cut in half": lambda p: os.truncate(p / "tensors.safetensors", 500),
    "tensors of zeros": lambda p: (p / "tensors.safetensors").write_bytes(bytes(1000)),
    "no tensors": lambda p: (p / "tensors.safetensors").unlink(),
    "no state": lambda p: (p / "state.json").unlink(),
    "an empty state": lambda p: (p / "state.json").write_bytes(b""),
    "a state that is a list": lambda p: (p / "state.json").write_bytes(b"[]"),
    "a state that is deep": lambda p: (p / "state.json").write_bytes(b"[" * 100_000),
    "an empty folder": lambda p: [f.unlink() for f in p.iterdir()],
    "another step's tensors": lambda p: (p / "tensors.safetensors").write_bytes(
        (p.parent / "step-00000010" / "tensors.safetensors").read_bytes()
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_newest_is_passed_over_by_name_and_the_previous_used(damage: str, tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    DAMAGES[damage](tmp_path / "step-00000020")
    assert newest(tmp_path) == (10, ["step-00000020"])


def test_no_byte_of_the_state_can_change_unnoticed(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    path = tmp_path / "step-00000020" / "state.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        flip(path, at)
        assert newest(tmp_path) == (10, ["step-00000020"]), whole[max(0, at - 20) : at + 1]
        path.write_bytes(whole)


def test_where_both_are_damaged_there_is_none_and_both_are_named(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    for path in checkpoints(tmp_path):
        flip(path / "tensors.safetensors", 600)
    assert newest(tmp_path) == (None, ["step-00000020", "step-00000010"])


def test_a_damaged_one_is_not_counted_among_the_two_that_are_kept(tmp_path: Path) -> None:
    save(tmp_path, 10, 20)
    flip(tmp_path / "step-00000020" / "tensors.safetensors", 600)
    save(tmp_path, 12, 14)
    assert names(tmp_path) == ["step-00000012", "step-00000014"]
    flip(tmp_path / "step-00000014" / "tensors.safetensors", 600)
    assert newest(tmp_path) == (12, ["step-00000014"])


def test_what_a_killed_run_left_half_written_is_cleared(tmp_path: Path) -> None:
    save(tmp_path, 10)
    (tmp_path / ".step-00000011").mkdir()
    (tmp_path / ".step-00000011" / "tensors.safetensors").write_bytes(bytes(100))
    assert newest(tmp_path) == (10, [])
    save(tmp_path, 12)
    assert names(tmp_path) == ["step-00000010", "step-00000012"]


def test_a_checkpoint_of_the_first_runs_is_still_read(tmp_path: Path) -> None:
    save(tmp_path, 10)
    path = tmp_path / "step-00000010"
    digest = hashlib.sha256((path / "tensors.safetensors").read_bytes()).hexdigest()
    (path / "state.json").write_text(json.dumps({"step": 10, "sha256": digest, **STATE}))
    assert newest(tmp_path) == (10, [])


# full disks


def test_a_file_holds_its_old_content_where_the_new_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "a.json", b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OutOfSpace, match=r"the disk is full; a\.json was not written"):
            write_whole(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert names(tmp_path) == ["a.json"]
    write_whole(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"


def test_a_file_that_was_not_yet_renamed_when_the_process_died_holds_its_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(tmp_path / "a.json", b"old")

    def dies(*_: object) -> None:
        raise SystemExit(9)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(SystemExit):
            write_whole(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"old"
    write_whole(tmp_path / "a.json", b"new")
    assert (tmp_path / "a.json").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_a_quota_and_a_limit_end_with_code_4(number: int) -> None:
    with pytest.raises(OutOfSpace) as caught, watching_space("x"):
        raise OSError(number, "full")
    assert caught.value.exit_code == 4


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathRejected, match=r"a\.json cannot be written \(FileNotFoundError\)"):
        write_whole(tmp_path / "absent" / "a.json", b"x")


@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_a_checkpoint_for_which_the_folder_has_no_room_leaves_the_earlier_whole(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(tmp_path, 10)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, full)
        with pytest.raises(OutOfSpace):
            save(tmp_path, 20)
    assert names(tmp_path) == ["step-00000010"]
    assert newest(tmp_path) == (10, [])


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from core.errors import OutOfSpace, PathRejected
from modalities.training.checkpoint import save_checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    save_checkpoint(Path(sys.argv[1]), 20, {"net/weight": torch.zeros(100_000)}, {})
except OutOfSpace as error:
    print(error.safe_message)
"""


@linux
def test_a_limit_on_the_size_of_files_is_out_of_space_and_the_earlier_checkpoint_whole(
    tmp_path: Path,
) -> None:
    save(tmp_path, 10)
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "the disk is full" in ran.stdout
    assert names(tmp_path) == ["step-00000010"]
    assert newest(tmp_path) == (10, [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)], check=False, capture_output=True
    )
    if made.returncode:
        pytest.skip("this user may not mount a file system")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@linux
def test_a_disk_that_is_really_full_leaves_the_earlier_checkpoint_whole(small_disk: Path) -> None:
    save(small_disk, 10)
    with pytest.raises(OutOfSpace):
        save_checkpoint(small_disk, 20, tensors(20.0, 50_000), STATE)
    assert names(small_disk) == ["step-00000010"]
    assert newest(small_disk) == (10, [])
    save(small_disk, 30)
    assert newest(small_disk) == (30, [])


# locks


def test_a_folder_that_is_held_cannot_be_held_again(tmp_path: Path) -> None:
    with locked(tmp_path / "run"):
        with (
            pytest.raises(RunLocked, match="another process trains in run") as caught,
            locked(tmp_path / "run"),
        ):
            pass
        assert caught.value.exit_code == 6
    with locked(tmp_path / "run"):
        pass


HOLD = """
import sys, time
from pathlib import Path
from modalities.training.checkpoint import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunLocked), locked(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with locked(tmp_path):
        pass
