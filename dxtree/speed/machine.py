"""On which machine was a number taken? Every benchmark prints this beside its ratios."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from core.cores import usable_cores

PACKAGES = ("numpy", "pillow", "onnxruntime", "openvino", "torch")
"""Whose versions change a speed."""
FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "bf16",
)
"""Instructions that decide how fast int8 and bfloat16 are, as Linux names them."""


@dataclass(frozen=True)
class Machine:
    """What decides a speed and what is needed to take it again."""

    processor: str
    cores: int
    """Cores that this process may use, which is fewer than the machine has in many containers."""
    flags: tuple[str, ...]
    memory_gb: float | None
    system: str
    python: str
    packages: dict[str, str]

    @classmethod
    def here(cls) -> Machine:
        """The machine that this runs on; what the system does not tell is left empty."""
        told = _told(Path("/proc/cpuinfo"))
        found = set(told.get("flags", told.get("Features", "")).split())
        return cls(
            processor=told.get("model name") or platform.processor() or platform.machine(),
            cores=usable_cores(),
            flags=tuple(f for f in FLAGS if f in found),
            memory_gb=_memory(),
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            packages={name: known for name in PACKAGES if (known := _version(name))},
        )

    def to_dict(self) -> dict[str, object]:
        """JSON-ready."""
        return asdict(self)

    def __str__(self) -> str:
        memory = "" if self.memory_gb is None else f", {self.memory_gb:.0f} GB"
        versions = ", ".join(f"{name} {found}" for name, found in self.packages.items())
        return (
            f"{self.processor}, {self.cores} core(s){memory}, {' '.join(self.flags) or 'no known flags'}; "
            f"{self.system}, Python {self.python}, {versions}"
        )


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _told(path: Path) -> dict[str, str]:
    """The first processor's entries of /proc/cpuinfo; empty where there is none."""
    try:
        lines = path.read_text("utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _memory() -> float | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, OSError, ValueError):
        return None
