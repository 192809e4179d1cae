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
from core.files import write_whole
from dxtree.experiment.config import ExperimentConfig, read_experiment
from dxtree.experiment.plan import Plan
from modalities.training.machine import device, uses_bf16

PACKAGES = ("dxtree", "torch", "torchvision", "numpy", "pillow", "scikit-learn", "scipy")


def record(plan: Plan, file: Path, weights: str | None) -> None:
    """Writes `experiment.yaml` and, once, `environment.json` into the folder.

    What is reported may change, and arms may come; raises `TrainingError` where an arm that the folder holds
    would be trained otherwise, or from other starting weights.
    """
    content = file.read_bytes()
    kept = plan.folder / "experiment.yaml"
    if kept.is_file():
        _check_same(read_experiment(kept), plan.config, plan.folder.name)
    start = digest_of(weights)
    told = plan.folder / "environment.json"
    if told.is_file() and json.loads(told.read_bytes())["start"] != start:
        raise TrainingError(f"{plan.folder.name} was begun from other starting weights; give the same file")
    write_whole(kept, content)
    if not told.is_file():
        write_whole(told, json.dumps(describe(plan, start), indent=1).encode())


def _check_same(then: ExperimentConfig, now: ExperimentConfig, folder: str) -> None:
    for field in ("taxonomy", "cohorts", "split"):
        if getattr(then, field) != getattr(now, field):
            raise TrainingError(f"{folder} holds an experiment with another {field}; choose another folder")
    old = {arm.name: arm for arm in then.arms}
    for arm in now.arms:
        known = old.get(arm.name)
        if known is None:
            continue
        same = (arm.max_size, arm.level, arm.preset) == (known.max_size, known.level, known.preset)
        if not same or then.training_of(known, "any", None) != now.training_of(arm, "any", None):
            raise TrainingError(
                f"{folder} holds arm {arm.name} trained otherwise; give it another name or another folder"
            )


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
