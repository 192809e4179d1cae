"""How large, how small and how slow may an image be?"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from core.errors import InputError

MIB = 1024**2


@dataclass(frozen=True)
class Limits:
    """What a file must keep to; every bound is inclusive, finite and above zero.

    `max_bytes`: size of the file, bytes. `max_pixels`: width times height. `max_side`, `min_side`:
    pixels. `max_aspect`: long side divided by short side. `max_scans`: passes of a progressive JPEG,
    each of which costs a walk over all pixels. `seconds`: wall time for one image, after which its
    decoder is killed. `memory_bytes`: address space of the decoding process, at least 256 MiB, as it
    takes 110 before it has read anything.

    Raises `InputError` where a bound is not a number above zero, or leaves the process no room.
    """

    max_bytes: int = 20 * MIB
    max_pixels: int = 50_000_000
    max_side: int = 16_384
    max_aspect: float = 20.0
    min_side: int = 64
    max_scans: int = 100
    seconds: float = 10.0
    memory_bytes: int = 2048 * MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            allowed = (int, float) if field.type == "float" else int
            if isinstance(value, bool) or not isinstance(value, allowed) or not 0 < value < math.inf:
                rule = "a finite number" if field.type == "float" else "a whole number"
                raise InputError(f"limits.{field.name} is {value!r}; give {rule} above zero")
        if self.memory_bytes < 256 * MIB:
            raise InputError(f"limits.memory_bytes is {self.memory_bytes}; give at least {256 * MIB}")
