"""What can this processor multiply fast, as its flags tell?"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

from modalities.engines.kinds import Precision

CPUINFO = Path("/proc/cpuinfo")
INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})
"""Dot products of bytes: x86 VNNI and AMX, ARM's dot product, as Linux names them."""
BF16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Products of bfloat16 numbers, likewise; without them bf16 is emulated and slower than fp32."""


@dataclass(frozen=True)
class Processor:
    """The instructions of this processor. `flags` are those that Linux lists, empty elsewhere."""

    flags: frozenset[str]

    @classmethod
    def here(cls) -> Processor:
        """Reads what the system tells. Apple's own processors list nothing and have all dot products."""
        flags = _flags(CPUINFO)
        if not flags and platform.system() == "Darwin" and platform.machine() == "arm64":
            flags = frozenset({"asimddp"})
        return cls(flags)

    def suits(self, precision: Precision) -> bool:
        """Whether numbers of this precision are multiplied by instructions of their own."""
        wanted = {"fp32": None, "bf16": BF16_FLAGS, "int8": INT8_FLAGS}[precision]
        return wanted is None or bool(wanted & self.flags)


def _flags(path: Path) -> frozenset[str]:
    """Flags of the first processor listed: `flags` on x86, `Features` on ARM."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return frozenset()
    entries = (line.partition(":") for line in lines)
    return next(
        (frozenset(v.split()) for k, _, v in entries if k.strip() in ("flags", "Features")), frozenset()
    )
