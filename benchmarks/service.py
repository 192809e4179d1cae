r"""What is left of `diagnose_many`'s rate over HTTP, and what does the service do at ten times its capacity?

    python benchmarks/service.py --rounds 7 --overload-seconds 120
    python benchmarks/service.py --models demonstration --modality clinical --images photographs

`dxtree serve` runs as a process of its own; clients and `core.diagnose_many` run in this one, never at the
same time. Everything is taken in one run, on one machine, clients included.

- throughput: interleaved rounds of the same cases, one picture for each `--modality`, as many clients as keep
  every core at work; *service / many* is the share of the rate that is left.
- unloaded: one client, one case after the other.
- overload: requests start at `--times` the service's rate, whether or not earlier ones are answered, each
  from one of 256 addresses. Every 200 must be the answer that was given unloaded, byte for byte; every other
  one must be 429 or 503 with Retry-After. The service, started anew, is told by `--wait-seconds` that none
  may wait longer than its places take at the rate that was measured: the bound of the queue. Liveness is
  `/healthz`, asked ten times a second all the while; memory is the resident set of the service's process.

A generator that cannot start them that fast says so: *offered* is what was reached. Research use, not a
medical device.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from core import Case, ImageInput, Pipeline, diagnose_many
from core.cores import usable_cores
from core.diagnosis import RESEARCH_USE
from dxtree.speed.machine import Machine
from dxtree.speed.rounds import interleaved
from plugins.assembly import assemble, find_model_set, load_registry

WAITING = 32
"""Places of the service's queue."""
ADDRESSES = 256
Reply = tuple[int, dict[str, str], bytes]


def drawn(count: int) -> list[bytes]:
    """JPEGs of 600 x 450 pixels: a spot on skin with grain of the sensor."""
    files, (y, x) = [], np.mgrid[0:450, 0:600].astype(np.float32) / 450
    for seed in range(count):
        random = np.random.default_rng(seed)
        spot = (1 - np.tanh((np.hypot(x - 0.6, y - 0.5) - random.uniform(0.1, 0.3)) * 20)) / 2
        pixels = np.array([222, 184, 168], np.float32) - spot[..., None] * np.float32([110, 115, 105])
        pixels += random.standard_normal((450, 600, 1), np.float32) * 5
        out = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=92)
        files.append(out.getvalue())
    return files


Picture = Mapping[str, bytes]
"""The files of one case by modality."""


def body_of(case: Picture) -> bytes:
    """A form with the images of a case."""
    head = '--b\r\nContent-Disposition: form-data; name="{}"; filename="x"\r\n\r\n'
    parts = (head.format(modality).encode() + data + b"\r\n" for modality, data in case.items())
    return b"".join(parts) + b"--b--\r\n"


@dataclass
class Wire:
    """One connection, which is opened again when the service has closed it."""

    port: int
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: bytes | None = None, address: int = 0) -> Reply:
        """Status, headers and body of one answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.streams
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\n"
        if body is not None:
            head += (
                f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n"
                f"X-Forwarded-For: 10.0.0.{address}\r\n"
            )
        writer.write(f"{head}\r\n".encode() + (body or b""))
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
        content = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), headers, content

    def close(self) -> None:
        """Hangs up."""
        if self.streams is not None:
            self.streams[1].close()
            self.streams = None


@dataclass
class Overload:
    """What came back under too much: seconds by kind of answer, and faults that must not be."""

    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    alive: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    memory: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def offered(self) -> float:
        """Requests a second that were started."""
        return (sum(self.statuses.values()) + self.faults["no answer"]) / self.seconds

    def note(self, reply: Reply, expected: bytes, seconds: float) -> None:
        """Counts one answer."""
        status, headers, content = reply
        self.statuses[status] += 1
        if status == 200:
            self.accepted.append(seconds)
            self.faults["wrong answer"] += content != expected
        else:
            self.refused.append(seconds)
            self.faults["other status"] += status not in (429, 503)
            self.faults["no Retry-After"] += not headers.get("retry-after", "").isdecimal()


async def overload(port: int, pid: int, bodies: list[bytes], rate: float, seconds: float) -> Overload:
    """Starts requests at this rate for so long, and waits for every answer."""
    expected = [(await Wire(port).ask("/v1/diagnose", body))[2] for body in bodies]
    found, idle, tasks = Overload(), list[Wire](), set[asyncio.Task[None]]()
    over = asyncio.Event()

    async def one(number: int) -> None:
        wire, kept = (idle.pop(), True) if idle else (Wire(port), False)
        k, began = number % len(bodies), time.perf_counter()
        try:
            try:
                reply = await wire.ask("/v1/diagnose", bodies[k], number % ADDRESSES)
            except (ConnectionError, asyncio.IncompleteReadError):
                if not kept:
                    raise
                # It had hung up on a kept connection meanwhile: clients ask again (RFC 9110, 9.2.2).
                wire.close()
                reply = await wire.ask("/v1/diagnose", bodies[k], number % ADDRESSES)
        except (OSError, asyncio.IncompleteReadError):
            found.faults["no answer"] += 1
            wire.close()
            return
        found.note(reply, expected[k], time.perf_counter() - began)
        idle.append(wire)

    async def watch() -> None:
        wire = Wire(port)
        while not over.is_set():
            began = time.perf_counter()
            await wire.ask("/healthz")
            found.alive.append(time.perf_counter() - began)
            found.memory.append(resident(pid))
            await asyncio.sleep(0.1)
        wire.close()

    watcher = asyncio.create_task(watch())
    began, started = time.perf_counter(), 0
    while (past := time.perf_counter() - began) < seconds:
        for _ in range(int(past * rate) - started):
            tasks.add(task := asyncio.create_task(one(started)))
            task.add_done_callback(tasks.discard)
            started += 1
        await asyncio.sleep(0.002)
    found.seconds = time.perf_counter() - began
    await asyncio.gather(*tasks)
    over.set()
    await watcher
    for wire in idle:
        wire.close()
    return found


def closed_loop(port: int, bodies: list[bytes], count: int, clients: int) -> Callable[[], list[float]]:
    """So many answers, asked for by as many clients, each of which waits for its own. Gives seconds."""

    async def run() -> list[float]:
        work, took = iter(islice(cycle(bodies), count)), list[float]()

        async def client(number: int) -> None:
            wire = Wire(port)
            for body in work:
                began = time.perf_counter()
                status, _, content = await wire.ask("/v1/diagnose", body, number)
                if status != 200:
                    raise SystemExit(f"the service answered {status}: {content.decode()}")
                took.append(time.perf_counter() - began)
            wire.close()

        await asyncio.gather(*(client(k) for k in range(clients)))
        return took

    return lambda: asyncio.run(run())


def many(pipeline: Pipeline, cases: list[Picture], count: int) -> Callable[[], None]:
    """`diagnose_many` over as many cases. Raises the first error that a case has."""

    def run() -> None:
        given = (
            Case(images=tuple(ImageInput(modality=m, data=d) for m, d in case.items()))
            for case in islice(cycle(cases), count)
        )
        for outcome in diagnose_many(given, pipeline=pipeline):
            if outcome.error is not None:
                raise outcome.error
            json.dumps(outcome.diagnosis.to_dict() if outcome.diagnosis else None)

    return run


def resident(pid: int) -> int:
    """Resident bytes of a process; 0 where the system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def serving(chosen: argparse.Namespace, *options: str) -> Iterator[tuple[int, int]]:
    """Port and process id of `dxtree serve`, ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "dxtree", "serve", "--port", str(port), "--behind-proxy"]
    command += ["--waiting", str(WAITING), "--engine", chosen.engine, "--no-page"]
    command += options
    command += ["--models", chosen.models] if chosen.models else []
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
    try:
        until = time.monotonic() + 120
        while not ready(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the service did not come up")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(60)


def ready(port: int) -> bool:
    """Whether its models are loaded."""
    try:
        return asyncio.run(Wire(port).ask("/readyz"))[0] == 200
    except OSError:
        return False


def percentile(seconds: list[float], share: float) -> float:
    """Milliseconds that this share of the calls did not exceed: the nearest-rank percentile."""
    ordered = sorted(seconds)
    return 1e3 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def main() -> None:
    """Runs the three parts and prints what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--modality", action="append", help="repeatable; default: clinical and dermoscopy")
    parser.add_argument("--images", type=Path, help="a folder of JPEGs; default: drawn, 600 x 450")
    parser.add_argument("--models", help="name or folder of a model set; default: the shipped one")
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--count", type=int, default=256, help="cases of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--times", type=float, default=10.0, help="of the capacity that are offered")
    parser.add_argument("--overload-seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    modalities = chosen.modality or ["clinical", "dermoscopy"]
    found_files = sorted(chosen.images.rglob("*.jpg"))[:64] if chosen.images else []
    files = [path.read_bytes() for path in found_files] or drawn(16)
    cases: list[Picture] = [
        {m: files[(k + j) % len(files)] for j, m in enumerate(modalities)} for k in range(len(files))
    ]
    registry = load_registry()
    pipeline = assemble(registry, find_model_set(registry, chosen.models), engine=chosen.engine)
    bodies = [body_of(case) for case in cases]
    pipeline.warm(modalities, many=True)
    clients = 3 * usable_cores()
    with serving(chosen) as (port, _):
        tasks = {
            "many": many(pipeline, cases, chosen.count),
            "service": closed_loop(port, bodies, chosen.count, clients),
        }
        found = interleaved(tasks, rounds=chosen.rounds)
        rate = chosen.count / found.median("service")
        alone = closed_loop(port, bodies, max(chosen.count, 100), 1)()
    bound = (WAITING + usable_cores()) / rate
    with serving(chosen, "--wait-seconds", f"{bound:.3f}") as (port, pid):
        loaded = asyncio.run(overload(port, pid, bodies, chosen.times * rate, chosen.overload_seconds))
    limit = 3 * percentile(alone, 0.99) + 1e3 * bound
    middle = len(loaded.memory) // 2
    first, last = (statistics.median(m) / 1e6 for m in (loaded.memory[: middle + 1], loaded.memory[middle:]))
    answers = ", ".join(f"{n} x {status}" for status, n in sorted(loaded.statuses.items()))
    print(Machine.here())
    print(f"medians of {chosen.rounds} rounds of {chosen.count} cases of {len(modalities)} image(s)")
    for name in tasks:
        print(f"  {name:<8}{chosen.count / found.median(name):9.2f} cases/s")
    print(f"service / many: {found.ratio('many', 'service'):.3f}")
    print(f"unloaded: p50 {percentile(alone, 0.5):.0f} ms, p99 {percentile(alone, 0.99):.0f} ms")
    print(f"offered: {loaded.offered / rate:.1f} times the rate for {loaded.seconds:.0f} s: {answers}")
    print(f"faults: {dict(+loaded.faults) or 'none'}")
    print(f"accepted: {len(loaded.accepted) / loaded.seconds / rate:.2f} of the rate")
    print(f"  p99 {percentile(loaded.accepted, 0.99):.0f} ms of {limit:.0f}: 3 x unloaded and the queue")
    print(f"refused: p99 {percentile(loaded.refused, 0.99):.0f} ms")
    print(f"alive: p99 {percentile(loaded.alive, 0.99):.0f} ms")
    print(f"memory: median {first:.0f} MB in the first half, {last:.0f} MB in the second")
    print(RESEARCH_USE)


if __name__ == "__main__":
    main()
