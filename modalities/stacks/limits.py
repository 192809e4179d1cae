"""How large may a stack be, and does one that a file announces fit?"""

from __future__ import annotations

from core.errors import CorruptImage, ImageTooLarge, ImageTooSmall
from modalities.images.limits import MIB, Limits

LIMITS = Limits(
    max_bytes=256 * MIB, max_pixels=64_000_000, min_side=16, seconds=30.0, memory_bytes=3072 * MIB
)
"""Of a stack `max_pixels` counts all its numbers, planes x height x width x channels; the sides are those of
a plane."""

MOST_PLANES = 4096


def check_room(planes: int, height: int, width: int, channels: int, limits: Limits) -> None:
    """To be called by a parser before it takes memory for what a file announces.

    Raises `CorruptImage` for a number below 1, `ImageTooLarge` for more than `MOST_PLANES` planes, more
    numbers than `max_pixels`, or a side or aspect over its limit, `ImageTooSmall` for a side under its own.
    """
    if min(planes, height, width, channels) < 1:
        raise CorruptImage("file announces no planes, rows, columns or channels; export it again")
    if planes > MOST_PLANES:
        raise ImageTooLarge(f"file has {planes} planes; at most {MOST_PLANES} are read")
    if planes * height * width * channels > limits.max_pixels:
        raise ImageTooLarge(
            f"file has {planes} x {height} x {width} x {channels} numbers, and at most {limits.max_pixels} "
            "are read; export fewer planes or a part"
        )
    small, large = sorted((height, width))
    if small < limits.min_side:
        raise ImageTooSmall(f"planes are {width} x {height} pixels; each side needs {limits.min_side}")
    if large > limits.max_side or large > limits.max_aspect * small:
        raise ImageTooLarge(
            f"planes are {width} x {height} pixels; a side may have {limits.max_side} and be "
            f"{limits.max_aspect:g} times the other"
        )
