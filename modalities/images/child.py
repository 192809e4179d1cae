"""How is one worker started, asked, given a deadline, and ended?"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

from core.errors import CorruptImage, DecodeTimeout, DxtreeError
from modalities.images.pipes import Incoming, Outgoing
from modalities.images.wire import read_frame, write_frame

_START_SECONDS = 60.0
_PROGRAM = """
import importlib.util, sys, types
module = sys.argv[1]
for name in dict.fromkeys(("core", "modalities", "modalities.images", module.rpartition(".")[0])):
    package = types.ModuleType(name)
    package.__path__ = importlib.util.find_spec(name).submodule_search_locations
    sys.modules[name] = package
importlib.import_module(module).main()
"""
"""Runs a worker without what the packages' front doors import, pydantic for one: half the time to start."""


class Child:
    """One worker process, which starts while the caller does other things; not for two threads at once.

    `module` is what it runs: one with a `main` that serves as that of `modalities.images.worker` does. Ended
    by `end`, by the garbage collector or when the interpreter exits, whichever comes first.
    Raises `DxtreeError` if it cannot be started; where it does not come up, the first `ask` raises that.
    """

    def __init__(self, module: str = "modalities.images.worker") -> None:
        try:
            process = _start(module)
        except OSError as error:
            raise DxtreeError(f"the image decoder could not be started ({type(error).__name__})") from error
        self._process = process
        self._requests = Outgoing(cast("IO[bytes]", process.stdin).fileno())
        self._replies = Incoming(cast("IO[bytes]", process.stdout).fileno())
        self.end = weakref.finalize(self, _end, process, os.getpid())
        """Kill the process and close its pipes; a second call does nothing."""
        self._ready = False

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return self.end.alive and self._process.poll() is None

    def ask(
        self, header: Mapping[str, object], body: bytes, seconds: float, max_reply: int
    ) -> tuple[dict[str, Any], memoryview]:
        """Send a request and give the reply, of at most `max_reply` bytes, within `seconds`.

        The first one waits until the worker is up, and raises `DxtreeError` where it does not come up.
        `DecodeTimeout` and `CorruptImage` leave the worker dead. So does every other exception, such as
        Ctrl-C: the rest of a reply left in the pipe would be taken for the next image.
        """
        if not self._ready:
            self._await()
        self._requests.until = self._replies.until = time.monotonic() + seconds
        try:
            write_frame(self._requests, header, body)
            reply, pixels = read_frame(self._replies, max_reply)
            return reply, memoryview(pixels).toreadonly()
        except TimeoutError:
            self.end()
        except (EOFError, OSError, ValueError):
            self.end()
            raise CorruptImage("image made the decoder stop; the file is damaged") from None
        except BaseException:
            self.end()
            raise
        raise DecodeTimeout(f"image took longer than {seconds:g} s to decode; save it anew or smaller")

    def _await(self) -> None:
        self._replies.until = time.monotonic() + _START_SECONDS
        try:
            read_frame(self._replies, 0)
        except (EOFError, OSError, ValueError):
            self.end()
            raise DxtreeError("the image decoder did not start; is the installation complete?") from None
        except BaseException:
            self.end()
            raise
        self._ready = True


def _start(module: str) -> subprocess.Popen[bytes]:
    """A fresh interpreter, never a fork: a fork after other threads have run can hang."""
    environment = os.environ | {
        # The child finds what this process finds, in the same order, and (-P) nothing besides.
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
        # A pool of threads would reserve address space, which is limited, and is of no use.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(  # noqa: S603 - our interpreter, our program, our module
        [sys.executable, "-P", "-c", _PROGRAM, module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=environment,
    )


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    """In a fork of the owner only the pipes' copies are closed: the worker is not ours to kill."""
    if os.getpid() == owner:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
