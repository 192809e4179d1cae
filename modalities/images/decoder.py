"""How does a caller get the pixels of a file?

Files from outside: `decode`, or a `Decoder` with limits of its own. Files of ours: `decode_here`.
"""

from __future__ import annotations

import os
import threading
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import numpy as np

from core import errors
from modalities.images.child import Child
from modalities.images.header import check_bytes
from modalities.images.limits import Limits
from modalities.images.pixels import DecodedImage, check_target, decode_pixels
from modalities.images.source import read_source

Source = bytes | str | os.PathLike[str]
Root = str | os.PathLike[str]

_LIMITS = Limits()
_FAULTS = {
    fault.__name__: fault
    for fault in (
        errors.CorruptImage,
        errors.ImageTooLarge,
        errors.ImageTooSmall,
        errors.MultiFrame,
        errors.UnsupportedPixels,
    )
}


class Decoder:
    """Decodes files from strangers in one worker process of its own, one after another.

    The worker is started by the first image, ends with `close`, the `with` block or the interpreter, and
    is replaced after a file has killed it. Threads may share a decoder and then wait for each other;
    after a fork, each process gets a worker of its own.
    """

    def __init__(self, limits: Limits = _LIMITS) -> None:
        self._limits = limits
        # By process id: a forked process must neither use its parent's worker nor wait for a lock that
        # a thread of the parent held.
        self._homes: dict[int, _Home] = {}

    def decode(
        self, source: Source, *, target_side: int | None = None, root: Root | None = None
    ) -> DecodedImage:
        """Check and decode one image; see `modalities.images.decode`."""
        check_target(target_side)
        limits = self._limits
        data = read_source(source, limits.max_bytes, root)
        name = check_bytes(data, limits)
        home = self._home()
        with home.lock:
            child = home.running()
            header = {"format": name, "limits": asdict(limits), "target_side": target_side}
            reply, pixels = child.ask(header, data, limits.seconds, 3 * limits.max_pixels)
            try:
                return _understood(reply, pixels, name)
            except (KeyError, TypeError, ValueError):
                # A worker that answers nonsense has been taken over by the file.
                child.end()
                raise errors.CorruptImage(
                    "image made the decoder answer nonsense; the file is damaged"
                ) from None

    @property
    def worker_pid(self) -> int | None:
        """The process id of the running worker, for those who watch processes."""
        child = self._home().child
        return child.pid if child is not None and child.alive else None

    def close(self) -> None:
        """End the worker once it has answered. A later image starts a new one."""
        home = self._home()
        with home.lock:
            if home.child is not None:
                home.child.end()
                home.child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _home(self) -> _Home:
        return self._homes.setdefault(os.getpid(), _Home())


class _Home:
    """The worker of one process, and the lock that its threads share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.child: Child | None = None

    def running(self) -> Child:
        """A worker that can be asked; hold the lock."""
        if self.child is not None and not self.child.alive:
            self.child.end()
            self.child = None
        if self.child is None:
            self.child = Child()
        return self.child


def decode(source: Source, *, target_side: int | None = None, root: Root | None = None) -> DecodedImage:
    """Decode a file from anywhere: in a separate process, with limits on memory and time.

    `source`: the bytes of a file, or the path of one. `target_side`, pixels: the short side that is
    needed at least; a large JPEG is then decoded several times faster at 1/2, 1/4 or 1/8 of its size. Ask
    for twice the side that you will resize to. `root`: the folder that a path must lie in once symbolic
    links are followed; for lists of paths that come from others.

    Costs some 5 ms more than decoding here. The limits are those of `Limits()`.

    Raises `PathRejected`, `EmptyInput`, `UnsupportedFormat`, `ImageTooLarge`, `ImageTooSmall`,
    `CorruptImage`, `MultiFrame`, `UnsupportedPixels`, `DecodeTimeout`, and `InputError` for a `source` or
    `target_side` that is none. All are `InputError`, and none repeats a path or anything in the file.

    `DxtreeError` itself if the worker cannot be started.
    """
    return _shared().decode(source, target_side=target_side, root=root)


def decode_here(
    source: Source, *, target_side: int | None = None, root: Root | None = None, limits: Limits = _LIMITS
) -> DecodedImage:
    """The checks and the decoding of `decode` in this process, for files that we trust to be photographs.

    Meant for the pictures of a data set while training. A hostile file can stop the process, fill its
    memory or keep it busy for minutes: `limits.seconds` and `limits.memory_bytes` do not hold here.

    Raises what `decode` raises, except `DecodeTimeout`.
    """
    check_target(target_side)
    data = read_source(source, limits.max_bytes, root)
    return decode_pixels(data, check_bytes(data, limits), limits, target_side)


def _understood(reply: dict[str, Any], pixels: bytes, name: str) -> DecodedImage:
    """The image or the fault in a reply; `KeyError`, `TypeError`, `ValueError` if it is neither."""
    if "error" in reply:
        raise _FAULTS[reply["error"]](str(reply["message"]))
    array = np.frombuffer(pixels, np.uint8).reshape(int(reply["height"]), int(reply["width"]), 3)
    return DecodedImage(array, name, tuple(str(note) for note in reply["notes"]))


_shared_lock = threading.Lock()
_shared_decoder: Decoder | None = None


def _shared() -> Decoder:
    global _shared_decoder
    with _shared_lock:
        if _shared_decoder is None:
            _shared_decoder = Decoder()
        return _shared_decoder
