"""Does Ray give the bytes of the plain way, and lose or double nothing when an actor is killed?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from core.errors import InputError, MissingExtra
from dxtree.batch.rows import Block
from dxtree.batch.shards import Shards
from dxtree.cli.diagnose_many import pool_of
from tests.dxtree.batch.conftest import batch, command, content, invoke

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray")


def test_ray_is_named_alone_or_with_the_engine_of_its_nets() -> None:
    assert pool_of("openvino", None) == (None, "openvino")
    for text, net in (("ray", "auto"), ("ray+onnxruntime", "onnxruntime")):
        pool, engine = pool_of(text, "host:6379")
        assert (pool and pool.address, engine) == ("host:6379", net)
    with pytest.raises(InputError, match="--ray-address needs --engine ray"):
        pool_of("auto", "host:6379")


def test_without_ray_the_extra_is_named_before_anything_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    pool, _ = pool_of("ray", None)
    with pytest.raises(MissingExtra, match=r"dxtree\[ray\]"):
        batch(folder / "cases.csv", tmp_path / "out", pool=pool).run()
    assert not (tmp_path / "out").exists()


def test_tries_of_a_block_are_counted_until_its_shard_stands(tmp_path: Path) -> None:
    shards, block = Shards(tmp_path), Block(0, 1, 1, 0)
    shards.prepare()
    assert [shards.tried(block) for _ in range(3)] == [1, 2, 3]
    shards.write(block, [b'{"row": 1, "id": "a", "fault": {"code": "X", "message": ""}}\n'])
    assert [p.name for p in (tmp_path / "shards").iterdir()] == ["00000.jsonl"]


@pytest.mark.slow
@needs_ray
def test_ray_gives_the_bytes_of_the_plain_way_and_finishes_what_that_began(
    folder: Path, whole: Path, tmp_path: Path
) -> None:
    done = invoke(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7, "--engine", "ray")
    assert done.returncode == 1, done.stderr
    assert "4 of 40 cases have a fault" in done.stderr
    assert content(tmp_path / "out") == content(whole)
    for shard in ("00001", "00004"):
        (tmp_path / "out" / "shards" / f"{shard}.jsonl").unlink()
    again = invoke(
        folder / "cases.csv", tmp_path / "out", "--shard-rows", 7, "--engine", "ray", "--keep-going"
    )
    assert again.returncode == 0, again.stderr
    assert "(14 now" in again.stdout
    assert content(tmp_path / "out") == content(whole)


def actors(of: psutil.Process) -> list[psutil.Process]:
    """Ray's processes that hold our actor."""
    found = []
    for child in of.children(recursive=True):
        try:
            if "ShardMaker" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
@needs_ray
def test_a_killed_actor_loses_and_doubles_nothing(folder: Path, whole: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7, "--engine", "ray"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    parent, killed = psutil.Process(process.pid), 0
    while process.poll() is None and killed < 2:
        for actor in actors(parent)[:1]:
            actor.kill()
            killed += 1
            time.sleep(1)
        time.sleep(0.02)
    _, told = process.communicate(timeout=300)
    assert killed, "no actor was seen"
    assert process.returncode == 1, told
    assert content(tmp_path / "out") == content(whole)


@pytest.mark.slow
@needs_ray
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_ray_and_all_its_processes(
    folder: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    process = subprocess.Popen(
        command(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7, "--engine", "ray"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    parent = psutil.Process(process.pid)
    while process.poll() is None and not actors(parent):
        time.sleep(0.02)
    children = parent.children(recursive=True)
    process.send_signal(number)
    process.communicate(timeout=120)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    _, alive = psutil.wait_procs(children, timeout=90)  # after kill -9 Ray's agents look about first
    assert not alive
    done = invoke(folder / "cases.csv", tmp_path / "out", "--shard-rows", 7, "--keep-going")
    assert done.returncode == 0, done.stderr
    assert content(tmp_path / "out") == content(whole)
