"""How does a caller get the pixels of a file?

Files from outside: `decode`, `decode_square` for what a net sees of one, or a `Decoder` with limits of its
own. Files of ours: `decode_here`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from core import errors
from core.cores import usable_cores
from modalities.images.decoded import DecodedImage, check_target
from modalities.images.faults import raise_fault
from modalities.images.header import check_bytes
from modalities.images.limits import Limits
from modalities.images.pool import Pool
from modalities.images.source import read_source
from modalities.images.square import Square, SquareImage

Source = bytes | str | os.PathLike[str]
Root = str | os.PathLike[str]
ByteImage = npt.NDArray[np.uint8]

_LIMITS = Limits()


class Decoder:
    """Decodes files from strangers in worker processes of its own, as many images at once as it has workers.

    A worker is started when an image finds none free, ends with `close`, the `with` block or the interpreter,
    and is replaced after a file has killed it. Threads may share a decoder and wait for each other only
    where all `workers` are busy; after a fork, each process gets workers of its own.
    """

    def __init__(self, limits: Limits = _LIMITS, workers: int = 1) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
            raise errors.InputError(f"workers is {workers!r}; give a whole number above zero")
        self._limits, self._workers = limits, workers
        self._told = asdict(limits)
        # By process id: a forked process must neither use its parent's workers nor wait for a lock that
        # a thread of the parent held.
        self._pools: dict[int, Pool] = {}

    def decode(
        self, source: Source, *, target_side: int | None = None, root: Root | None = None
    ) -> DecodedImage:
        """Check and decode one image; see `modalities.images.decode`."""
        check_target(target_side)
        pixels, notes, name = self._ask(source, target_side, root, None)
        return DecodedImage(pixels, name, notes)

    def square(self, source: Source, square: Square, *, root: Root | None = None) -> SquareImage:
        """Check and decode one image and cut its square; see `modalities.images.decode_square`."""
        pixels, notes, _ = self._ask(source, square.target_side, root, square)
        return SquareImage(pixels, notes)

    def start(self) -> None:
        """Start a worker now, without waiting for it, where none runs."""
        self._pool().start()

    @property
    def worker_pids(self) -> tuple[int, ...]:
        """The process ids of the running workers, for those who watch processes."""
        return self._pool().pids

    def close(self) -> None:
        """End every worker once it has answered. A later image starts a new one."""
        self._pool().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self, source: Source, target_side: int | None, root: Root | None, square: Square | None
    ) -> tuple[ByteImage, tuple[str, ...], str]:
        limits = self._limits
        data = read_source(source, limits.max_bytes, root)
        name = check_bytes(data, limits)
        header = {
            "format": name,
            "limits": self._told,
            "target_side": target_side,
            "square": None if square is None else (square.resize, square.size),
        }
        with self._pool().child() as child:
            reply, pixels = child.ask(header, data, limits.seconds, 4 * limits.max_pixels)
            try:
                return *_understood(reply, pixels, square), name
            except (KeyError, TypeError, ValueError):
                # A worker that answers nonsense has been taken over by the file.
                child.end()
                raise errors.CorruptImage(
                    "image made the decoder answer nonsense; the file is damaged"
                ) from None

    def _pool(self) -> Pool:
        here = os.getpid()
        # The second look makes a pool only where there is none: `setdefault` alone would make one each time.
        return self._pools.get(here) or self._pools.setdefault(here, Pool(self._workers))


def decode(source: Source, *, target_side: int | None = None, root: Root | None = None) -> DecodedImage:
    """Decode a file from anywhere: in a separate process, with limits on memory and time.

    `source`: the bytes of a file, or the path of one. `target_side`, pixels: the short side that is
    needed at least; a large JPEG is then decoded several times faster at 1/2, 1/4 or 1/8 of its size. Ask
    for twice the side that you will resize to. `root`: the folder that a path must lie in once symbolic
    links are followed; for lists of paths that come from others.

    Costs some 5 ms more than decoding here. Threads do not wait for each other while cores are free: there is
    a process for each at most. The limits are those of `Limits()`.

    Raises `PathRejected`, `EmptyInput`, `UnsupportedFormat`, `ImageTooLarge`, `ImageTooSmall`,
    `CorruptImage`, `MultiFrame`, `UnsupportedPixels`, `DecodeTimeout`, and `InputError` for a `source` or
    `target_side` that is none. All are `InputError`, and none repeats a path or anything in the file.

    `DxtreeError` itself if the worker cannot be started.
    """
    return _shared().decode(source, target_side=target_side, root=root)


def decode_square(source: Source, square: Square, *, root: Root | None = None) -> SquareImage:
    """What a net sees of a file from anywhere: decoded as `decode` does, resized and cut in the worker too.

    So the caller's process does no more than check the file and take the square in. A large JPEG is decoded
    at 1/2, 1/4 or 1/8 of its size, the smallest whose short side is at least twice `square.resize`. That
    changes the square of a photograph of 12 megapixels by about .3 of 255 in the mean.

    Raises what `decode` raises.
    """
    return _shared().square(source, square, root=root)


def start_decoder() -> None:
    """Start the worker of `decode` while other things are loaded; nothing has to call this.

    `DxtreeError` itself if the worker cannot be started.
    """
    _shared().start()


def decode_here(
    source: Source, *, target_side: int | None = None, root: Root | None = None, limits: Limits = _LIMITS
) -> DecodedImage:
    """The checks and the decoding of `decode` in this process, for files that we trust to be photographs.

    Meant for the pictures of a data set while training. A hostile file can stop the process, fill its
    memory or keep it busy for minutes: `limits.seconds` and `limits.memory_bytes` do not hold here.

    Raises what `decode` raises, except `DecodeTimeout`.
    """
    from modalities.images.pixels import decode_pixels

    check_target(target_side)
    data = read_source(source, limits.max_bytes, root)
    name = check_bytes(data, limits)
    pixels, notes = decode_pixels(data, name, limits, target_side, np.asarray)
    return DecodedImage(pixels, name, notes)


def _understood(
    reply: dict[str, Any], pixels: memoryview, square: Square | None
) -> tuple[ByteImage, tuple[str, ...]]:
    """Pixels and notes, or the fault, in a reply; `KeyError`, `TypeError`, `ValueError` if it is neither."""
    raise_fault(reply)
    height, width, depth = _whole(reply["shape"])
    wanted = (height, width, 3) if square is None else square.shape
    if (height, width, depth) != wanted:
        raise ValueError("the pixels have another shape than was asked for")
    array = np.frombuffer(pixels, np.uint8).reshape(wanted)
    return array, tuple(str(note) for note in reply["notes"])


def _whole(shape: Sequence[object]) -> tuple[int, ...]:
    return tuple(n for n in shape if isinstance(n, int) and n > 0)


_shared_lock = threading.Lock()
_shared_decoder: Decoder | None = None


def _shared() -> Decoder:
    global _shared_decoder
    if _shared_decoder is not None:  # a fork must not wait for a lock that a thread of its parent held
        return _shared_decoder
    with _shared_lock:
        if _shared_decoder is None:
            _shared_decoder = Decoder(workers=usable_cores())
        return _shared_decoder
