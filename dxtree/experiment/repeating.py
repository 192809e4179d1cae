"""Does an experiment, trained again, end with the same nets?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import TrainingError, did_you_mean
from dxtree.experiment.environment import digest_of, versions
from dxtree.experiment.plan import Plan, Unit
from modalities.training.evidence import read_evidence
from modalities.training.starting import FINAL, WEIGHTS


@dataclass(frozen=True)
class Repeated:
    """One net beside the one that it repeats.

    `same_weights` and `same_answers`: to the bit. `furthest`: the largest difference of a logit of an image
    that neither had seen; `agree`: the share of those images with the same most probable class.
    """

    unit: str
    same_weights: bool
    same_answers: bool
    furthest: float
    agree: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


def check_start(folder: Path, weights: str | None) -> list[str]:
    """Package versions that differ between then and now. Raises `TrainingError` for another start."""
    told = read_environment(folder)
    if told["start"] != digest_of(weights):
        name = told["start"]["name"] if told["start"] else "random weights"
        raise TrainingError(f"{folder.name} started from {name}; give those (--weights), by their sha256")
    now = versions()
    return [
        f"{name} was {then} and is {now.get(name, 'absent')}"
        for name, then in told["versions"].items()
        if now.get(name) != then
    ]


def read_environment(folder: Path) -> dict[str, Any]:
    """The environment that an experiment recorded. Raises `TrainingError` where the folder holds none."""
    try:
        found: dict[str, Any] = json.loads((folder / "environment.json").read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder.name} holds no experiment (environment.json cannot be read)") from error
    return found


def chosen(plan: Plan, names: Sequence[str]) -> list[Unit]:
    """The units of these names, all without any. Raises `TrainingError` for a name that the plan lacks."""
    known = {unit.name: unit for unit in plan.units()}
    for name in names:
        if name not in known:
            raise TrainingError(f"net {name!r} is none of the experiment's{did_you_mean(name, known)}")
    return [known[name] for name in names] if names else list(known.values())


def compare(unit: Unit, then: Path) -> Repeated:
    """A unit beside the folder of the arm and modality that it repeats.

    Raises `TrainingError` where that one is not trained.
    """
    old, new = then / unit.target, unit.run.folder / unit.target
    if not (old / WEIGHTS).is_file():
        raise TrainingError(f"{unit.name} of the experiment that is repeated is not trained")
    evidence = "../validation.csv" if unit.target == FINAL else "evidence.csv"
    keys, before, _ = read_evidence(old / evidence)
    others, after, _ = read_evidence(new / evidence)
    if keys != others:
        raise TrainingError(f"{unit.name} answered other images than then; give the same cohorts")
    return Repeated(
        unit.name,
        _sha(old / WEIGHTS) == _sha(new / WEIGHTS),
        bool((before == after).all()),
        float(np.abs(before - after).max()),
        float((before.argmax(1) == after.argmax(1)).mean()),
    )


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
