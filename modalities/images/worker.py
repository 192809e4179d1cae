"""What runs in the process that may die? `python -m modalities.images.worker`.

It answers one request after another over its two pipes (see `wire`) and ends when its input does, so a
parent that was killed leaves no orphan. A request is `{format, limits, target_side, square}` with the file's
bytes, which have passed `header.check_bytes`, as body; `square` is the two numbers of a `Square`, or null
for the whole picture. The answer is `{shape, notes}` with raw pixels as body, or `{error, message}`.
"""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from PIL import Image

from core.errors import DxtreeError
from modalities.images.limits import Limits
from modalities.images.pixels import decode_pixels
from modalities.images.square import Square
from modalities.images.wire import read_frame, write_frame

try:
    import resource
except ImportError:  # Windows: no such limits, the deadline and the checks of the header remain
    resource = None  # type: ignore[assignment]

Made = tuple[tuple[int, int, int], bytes]
"""Shape and bytes of an array, uint8, rows first."""


def main() -> None:
    """Serve until the input ends."""
    serve(_answer)


def serve(answer: Callable[[BinaryIO, dict[str, Any], bytes], None]) -> None:
    """Hand every request to `answer`, which writes one frame to the stream, until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, who then closes the pipe
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    replies = _take_stdout()
    write_frame(replies, {"ready": True})
    with suppress(EOFError, BrokenPipeError):
        while True:
            header, data = read_frame(sys.stdin.buffer, sys.maxsize)
            answer(replies, header, bytes(data))


def _answer(replies: BinaryIO, header: dict[str, Any], data: bytes) -> None:
    limits = Limits(**header["limits"])
    confine(limits)
    square = header["square"]
    finish = _whole if square is None else partial(_cut, Square(*square))
    try:
        made, notes = decode_pixels(data, header["format"], limits, header["target_side"], finish)
    except DxtreeError as error:
        write_frame(replies, {"error": error.code, "message": error.safe_message})
        return
    shape, pixels = made
    write_frame(replies, {"shape": shape, "notes": notes}, pixels)


def _whole(image: Image.Image) -> Made:
    return (image.height, image.width, 3), image.tobytes()


def _cut(square: Square, image: Image.Image) -> Made:
    return square.shape, square.cut(image)


def confine(limits: Limits) -> None:
    """No core dump, no more memory, no more processor time than one image may take.

    The last is for a parent that dies while C code runs here: nobody is left to end it.
    """
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(used.ru_utime + used.ru_stime + limits.seconds) + 2
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        (resource.RLIMIT_CPU, processor, resource.getrlimit(resource.RLIMIT_CPU)[1]),
    ):
        with suppress(OSError, ValueError):  # macOS refuses some; a stricter limit may stand already
            resource.setrlimit(kind, (soft, hard))


def _take_stdout() -> BinaryIO:
    """Standard output for our frames alone: whatever else prints goes nowhere."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return replies


if __name__ == "__main__":
    main()
