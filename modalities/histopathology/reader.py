"""How is a whole-slide image read? Lazily, from where it lies, by a process that may die.

Needs the extra `slides`. A slide is far larger than an image file may be, so it has limits of its own and is
never taken into memory: OpenSlide decodes the squares that are asked for.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from core import errors
from core.cores import usable_cores
from modalities.images.faults import raise_fault
from modalities.images.limits import MIB, Limits
from modalities.images.pool import Pool
from modalities.stacks.stack import Channel, Stack

SIDE, UM_PER_PIXEL, MOST_TILES = 128, 1.0, 12
"""Pixels of a tile's side, micrometres each of them spans (ten-fold magnification), tiles of one slide."""

LIMITS = Limits(max_bytes=64 * 1024 * MIB, max_pixels=100_000_000, seconds=60.0, memory_bytes=2048 * MIB)
"""Of a slide `max_bytes` bounds the file, of which little is read, and `max_pixels` what is decoded to find
tissue, not the slide; `max_side`, `min_side` and `max_aspect` do not count."""

MOST_BYTES = 256 * MIB
"""Of a slide that comes as bytes instead of a path."""

_WORKER = "modalities.histopathology.worker"
_MAGIC = ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+"), (128, b"DICM"))
_pools: dict[tuple[int, int], Pool] = {}


def read(source: bytes | Path) -> Stack:
    """`read_slide` with the tiles of this modality's net."""
    return read_slide(source)


def read_slide(
    source: bytes | str | os.PathLike[str],
    *,
    side: int = SIDE,
    um_per_pixel: float = UM_PER_PIXEL,
    most: int = MOST_TILES,
    limits: Limits = LIMITS,
) -> Stack:
    """Tiles of tissue from one slide: grey levels 0 to 255 of red, green and blue, axis "tile".

    `source`: the path of a slide, or its bytes, at most `MOST_BYTES`, which are laid where the worker can
    seek in them (memory on Linux, else a temporary file). Of a DICOM slide any file of its folder.
    `um_per_pixel`: of the tiles; the finer level is shrunk by area to it and nothing is enlarged.

    Raises `PathRejected`, `EmptyInput` (zero bytes, no tissue), `UnsupportedFormat`, `UnsupportedPixels` (the
    file does not say its micrometres a pixel, or they are too coarse), `ImageTooLarge`, `CorruptImage`,
    `DecodeTimeout`; `MissingExtra` without OpenSlide.
    """
    if find_spec("openslide") is None:
        raise errors.MissingExtra("reading slides", "slides")
    asked = {"side": side, "um_per_pixel": um_per_pixel, "most": most, "most_overview": limits.max_pixels}
    with _lying(source, limits) as path, _pool(limits.memory_bytes).child() as child:
        header = {"path": path, "limits": asdict(limits), "asked": asked}
        reply, body = child.ask(header, b"", limits.seconds, most * side * side * 3)
        try:
            return _understood(reply, body, asked)
        except (KeyError, TypeError, ValueError):
            child.end()  # a worker that answers nonsense has been taken over by the file
            raise errors.CorruptImage("slide made its reader answer nonsense; it is damaged") from None


def _understood(reply: dict[str, Any], body: memoryview, asked: dict[str, Any]) -> Stack:
    raise_fault(reply)
    number, side = int(reply["shape"][0]), asked["side"]
    if not 1 <= number <= asked["most"]:
        raise ValueError("another number of tiles than was asked for")
    pixels = np.frombuffer(body, np.uint8).reshape(number, side, side, 3)
    return Stack(
        values=pixels.astype(np.float32),
        axis="tile",
        spacing_um=(asked["um_per_pixel"], asked["um_per_pixel"]),
        channels=(Channel("red"), Channel("green"), Channel("blue")),
        bits=8,
        notes=tuple(str(note) for note in reply["notes"]),
    )


def _pool(memory_bytes: int) -> Pool:
    """One of this process: a fork must not use its parent's workers, and a worker's memory only shrinks."""
    here = os.getpid(), memory_bytes
    return _pools.get(here) or _pools.setdefault(here, Pool(usable_cores(), _WORKER))


@contextmanager
def _lying(source: bytes | str | os.PathLike[str], limits: Limits) -> Iterator[str]:
    """The path under which the worker finds the slide. The first bytes are checked."""
    if isinstance(source, bytes):
        _check(source[:132], len(source), min(MOST_BYTES, limits.max_bytes))
        with _laid(source) as path:
            yield path
        return
    if not isinstance(source, (str, os.PathLike)):
        raise errors.InputError("slide must be the path of a file, or its bytes")
    try:
        found = Path(os.fsdecode(source)).resolve(strict=True)
        status = found.stat()
        if not stat.S_ISREG(status.st_mode):
            raise errors.PathRejected("slide path is not a regular file")
        with found.open("rb") as file:
            _check(file.read(132), status.st_size, limits.max_bytes)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: NUL; RuntimeError: a loop of links
        raise errors.PathRejected(f"slide path cannot be read ({type(error).__name__})") from None
    yield str(found)


def _check(start: bytes, size: int, most: int) -> None:
    if not size:
        raise errors.EmptyInput("slide has zero bytes")
    if size > most:
        raise errors.ImageTooLarge(f"slide has {size} bytes; at most {most} are read, more by its path")
    if not any(start[at : at + len(magic)] == magic for at, magic in _MAGIC):
        raise errors.UnsupportedFormat("file is neither a TIFF nor DICOM; save the slide as a tiled TIFF")


@contextmanager
def _laid(data: bytes) -> Iterator[str]:
    """A path to bytes. On Linux nothing is written to disk but, for DICOM, the link to them: OpenSlide looks
    at a DICOM file's neighbours, and must find none.
    """
    dicom = data[128:132] == b"DICM"
    if not sys.platform.startswith("linux"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "slide"
            path.write_bytes(data)
            yield str(path)
        return
    held = os.memfd_create("slide")
    try:
        with os.fdopen(os.dup(held), "wb") as file:
            file.write(data)
        path = Path(f"/proc/{os.getpid()}/fd/{held}")
        if not dicom:
            yield str(path)
            return
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "slide.dcm"
            link.symlink_to(path)
            yield str(link)
    finally:
        os.close(held)
