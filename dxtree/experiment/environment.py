"""On which machine, with which versions, seeds and start was an experiment run?"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from core.errors import TrainingError
from dxtree.experiment.plan import Plan
from modalities.training.checkpoint import write_atomically
from modalities.training.machine import device, uses_bf16

PACKAGES = ("dxtree", "torch", "torchvision", "numpy", "pillow", "scikit-learn", "scipy")


def record(plan: Plan, file: Path, weights: str | None) -> None:
    """Writes `experiment.yaml` and `environment.json` into the folder, once.

    Raises `TrainingError` where the folder holds another experiment, or one from other starting weights.
    """
    content = file.read_bytes()
    kept = plan.folder / "experiment.yaml"
    if kept.is_file() and kept.read_bytes() != content:
        raise TrainingError(f"{plan.folder.name} holds another experiment; choose another folder")
    start = digest_of(weights)
    told = plan.folder / "environment.json"
    if told.is_file() and json.loads(told.read_bytes())["start"] != start:
        raise TrainingError(f"{plan.folder.name} was begun from other starting weights; give the same file")
    write_atomically(kept, content)
    if not told.is_file():
        write_atomically(told, json.dumps(describe(plan, start), indent=1).encode())


def digest_of(weights: str | None) -> dict[str, str] | None:
    """Name of the starting weights and, of a file, its sha256."""
    if weights is None:
        return None
    path = Path(weights)
    if not path.suffix:
        return {"name": weights}
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def describe(plan: Plan, start: dict[str, str] | None) -> dict[str, Any]:
    """Versions, machine, seeds and fingerprints."""
    some = next(iter(plan.runs.values()))
    return {
        "start": start,
        "versions": versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": str(device()),
        "bf16": uses_bf16(some.config),
        "seeds": {"split": plan.split.seed, "training": some.config.seed},
        "taxonomy": some.partition.taxonomy.fingerprint,
        "partitions": {arm: run.partition.fingerprint for (arm, _), run in plan.runs.items()},
        "images": {m: len(run.images) for (_, m), run in plan.runs.items()},
        "lesions": plan.split.counts(),
        "notes": list(plan.split.notes),
    }


def versions() -> dict[str, str]:
    """Installed versions of the packages that decide a result."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
