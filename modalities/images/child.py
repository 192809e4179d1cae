"""How is one worker started, asked, given a deadline, and ended?"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from core.errors import CorruptImage, DecodeTimeout, DxtreeError
from modalities.images.wire import read_frame, write_frame

_START_SECONDS = 60.0


class Child:
    """One running worker process; not for two threads at once.

    Ended by `end`, by the garbage collector or when the interpreter exits, whichever comes first.
    Raises `DxtreeError` if it cannot be started.
    """

    def __init__(self) -> None:
        try:
            process = _start()
        except OSError as error:
            raise DxtreeError(f"the image decoder could not be started ({type(error).__name__})") from error
        self._process = process
        self._requests = cast("io.RawIOBase", process.stdin)  # both are unbuffered pipes
        self._replies = io.BufferedReader(cast("io.RawIOBase", process.stdout))
        self.end = weakref.finalize(self, _end, process, os.getpid())
        """Kill the process and close its pipes; a second call does nothing."""
        try:
            with _Deadline(process, _START_SECONDS):
                read_frame(self._replies, 0)
        except (EOFError, OSError, ValueError):
            self.end()
            raise DxtreeError("the image decoder did not start; is the installation complete?") from None

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
    ) -> tuple[dict[str, Any], bytes]:
        """Send a request and give the reply, of at most `max_reply` bytes, within `seconds`.

        `DecodeTimeout` and `CorruptImage` leave the worker dead. So does every other exception, such as
        Ctrl-C: the rest of a reply left in the pipe would be taken for the next image.
        """
        deadline = _Deadline(self._process, seconds)
        try:
            with deadline:
                write_frame(self._requests, header, body)
                return read_frame(self._replies, max_reply)
        except (EOFError, OSError, ValueError):
            self.end()
        except BaseException:
            self.end()
            raise
        if deadline.passed:
            raise DecodeTimeout(f"image took longer than {seconds:g} s to decode; save it anew or smaller")
        raise CorruptImage("image made the decoder stop; the file is damaged")


class _Deadline:
    """Kills the process if the block takes longer than `seconds`; never after the block has ended."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self.passed = False
        self._process = process
        self._over = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._strike)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over = True
        self._timer.cancel()

    def _strike(self) -> None:
        with self._lock:
            if not self._over:
                self.passed = True
                self._process.kill()


def _start() -> subprocess.Popen[bytes]:
    """A fresh interpreter, never a fork: a fork after other threads have run can hang."""
    environment = os.environ | {
        # The child finds what this process finds, in the same order, and (-P) nothing besides.
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
        # A pool of threads would reserve address space, which is limited, and is of no use.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "modalities.images.worker"],
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
