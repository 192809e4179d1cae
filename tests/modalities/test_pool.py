"""Do threads get workers of their own, never more than allowed, and does a lost worker cost no image?"""

from __future__ import annotations

import gc
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from core.errors import CorruptImage, InputError
from modalities.images import Decoder, Square
from modalities.images.pool import Pool

linux = pytest.mark.skipif(sys.platform != "linux", reason="stops a process by signal")


def jpeg(seed: int = 0, width: int = 96, height: int = 80) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(out, "JPEG", quality=95)
    return out.getvalue()


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(2)
    yield made
    made.close()


def hold(pool: Pool, count: int) -> tuple[threading.Barrier, ThreadPoolExecutor, list[int]]:
    """So many threads that each have a worker until the barrier is passed."""
    barrier = threading.Barrier(count + 1)
    held: list[int] = []

    def one() -> None:
        with pool.child() as child:
            held.append(child.pid)
            barrier.wait(10)

    threads = ThreadPoolExecutor(count)
    for _ in range(count):
        threads.submit(one)
    deadline = time.monotonic() + 10
    while len(held) < count and time.monotonic() < deadline:
        time.sleep(0.001)
    return barrier, threads, held


def test_threads_at_the_same_time_get_workers_of_their_own(pool: Pool) -> None:
    barrier, threads, held = hold(pool, 2)
    assert len(set(held)) == 2
    assert pool.pids == tuple(sorted(held))
    barrier.wait(10)
    threads.shutdown()
    assert pool.pids == tuple(sorted(held))


def test_one_thread_after_another_gets_the_worker_that_answered_last(pool: Pool) -> None:
    barrier, threads, _ = hold(pool, 2)
    barrier.wait(10)
    threads.shutdown()
    with pool.child() as first:
        pass
    with pool.child() as again:
        assert again is first


def test_a_third_thread_waits_where_two_workers_are_allowed(pool: Pool) -> None:
    barrier, threads, held = hold(pool, 2)
    third: list[int] = []

    def late() -> None:
        with pool.child() as child:
            third.append(child.pid)

    waiting = threading.Thread(target=late)
    waiting.start()
    waiting.join(0.1)
    assert third == []
    barrier.wait(10)
    waiting.join(10)
    threads.shutdown()
    assert third[0] in held
    assert len(pool.pids) == 2


@pytest.mark.parametrize("workers", [1, 3])
def test_many_threads_start_no_more_workers_than_allowed_and_get_their_own_pictures(workers: int) -> None:
    files = [jpeg(seed) for seed in range(4)]
    with Decoder(workers=workers) as decoder:
        wanted = [decoder.decode(data).pixels for data in files]
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(decoder.decode, files * 12))
        assert all(np.array_equal(f.pixels, wanted[k % 4]) for k, f in enumerate(found))
        assert 1 <= len(decoder.worker_pids) <= workers


@pytest.mark.parametrize("workers", [0, -1, True, 1.5, None, "2"], ids=repr)
def test_a_number_of_workers_that_is_no_whole_number_above_zero_is_refused(workers: object) -> None:
    with pytest.raises(InputError, match="workers is"):
        Decoder(workers=workers)  # type: ignore[arg-type]


def test_a_worker_is_started_early_once_and_the_first_image_uses_it() -> None:
    with Decoder(workers=2) as decoder:
        decoder.start()
        decoder.start()
        (worker,) = decoder.worker_pids
        decoder.square(jpeg(), Square(64, 64))
        assert decoder.worker_pids == (worker,)


@linux
def test_a_worker_killed_while_it_is_idle_costs_no_image_and_is_not_left_as_a_zombie(pool: Pool) -> None:
    with pool.child() as child:
        pass
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    with pool.child() as other:
        assert other.pid != child.pid
        assert other.alive
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


@linux
def test_a_worker_that_dies_in_the_block_is_not_used_again(pool: Pool) -> None:
    with pool.child() as child:
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert pool.pids == ()
    with pool.child() as other:
        assert other is not child


@linux
def test_a_file_that_kills_its_worker_leaves_the_others_their_images() -> None:
    with Decoder(workers=2) as decoder, ThreadPoolExecutor(2) as threads:
        good = jpeg(1, 1600, 1200)
        wanted = decoder.decode(good).pixels

        large = jpeg(2, 4000, 3000)
        for _ in range(2):
            doomed = threads.submit(decoder.decode, large)
            deadline = time.monotonic() + 10
            while not (asked := decoder._pool()._asked) and time.monotonic() < deadline:
                time.sleep(0.0005)
            os.kill(next(iter(asked)).pid, signal.SIGKILL)
            with pytest.raises(CorruptImage):
                doomed.result(10)
            assert np.array_equal(decoder.decode(good).pixels, wanted)


def test_closing_waits_for_an_image_under_way_and_another_close_does_not_hang(pool: Pool) -> None:
    barrier, threads, held = hold(pool, 1)
    closers = [threading.Thread(target=pool.close) for _ in range(3)]
    for closer in closers:
        closer.start()
    closers[0].join(0.1)
    assert pool.pids == tuple(held)
    barrier.wait(10)
    threads.shutdown()
    for closer in closers:
        closer.join(10)
        assert not closer.is_alive()
    assert pool.pids == ()
    with pool.child() as child:
        assert child.alive


def test_an_interrupted_close_leaves_every_place_free(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(threading.Semaphore):
        left = 1

        def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool:
            if not Interrupted.left:
                Interrupted.left = 9
                raise KeyboardInterrupt
            Interrupted.left -= 1
            return super().acquire(blocking, timeout)

        __enter__ = acquire

    monkeypatch.setattr(pool, "_places", Interrupted(2))
    with pytest.raises(KeyboardInterrupt):
        pool.close()
    barrier, threads, held = hold(pool, 2)
    assert len(held) == 2
    barrier.wait(10)
    threads.shutdown()


def test_a_decoder_that_nobody_holds_leaves_no_process() -> None:
    decoder = Decoder(workers=2)
    decoder.decode(jpeg())
    (worker,) = decoder.worker_pids
    del decoder
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
from modalities.images import decode, decode_square, Square
from modalities.images.decoder import _shared
data = open(sys.argv[1], "rb").read()
mine = decode_square(data, Square(64, 64)).padded
parents = _shared().worker_pids
child = os.fork()
if not child:
    theirs = decode_square(data, Square(64, 64)).padded
    own = _shared().worker_pids
    sys.exit(not (mine == theirs).all() or bool(set(own) & set(parents)) or len(own) != 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), _shared().worker_pids == parents)
decode(data)
print(_shared().worker_pids == parents)
"""


@linux
def test_a_forked_process_gets_workers_of_its_own_and_leaves_its_parent_s_alone(tmp_path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    command = [sys.executable, "-c", FORK, str(tmp_path / "a.jpg")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == ["0", "True", "True"]
