"""Which arm is better, at which level, and by how much? On the same images, none of them seen by its net."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.diagnosis import RESEARCH_USE
from core.errors import TrainingError
from core.tree import FloatArray
from dxtree.binary import TaskResult
from dxtree.evaluation.bounds import Sampled
from dxtree.evaluation.counting import balanced_accuracy
from dxtree.evaluation.intervals import Interval, Verdict, difference, group_index, interval, sample
from dxtree.evaluation.metrics import METRICS, Metric
from dxtree.evaluation.weighted import Statistic, weighted_mean
from dxtree.experiment.judging import Yardstick, cohort_yardstick, level_yardstick
from dxtree.experiment.plan import Plan, read_metrics
from dxtree.experiment.tasks import judge_tasks
from dxtree.experiment.unseen import Unseen, unseen
from plugins.registry import Registry

LEVELS = (1, 2)
ACCURACY = next(m for m in METRICS if m.name == "accuracy")
BALANCED = next(m for m in METRICS if m.name == "balanced_accuracy")
EVEN = Metric(
    "balanced_accuracy_even",
    "balanced acc., even prior",
    "balanced accuracy where the class of the largest probability over its training prior is taken",
    higher_is_better=True,
    upper=1.0,
)
JUDGED = (ACCURACY, BALANCED, EVEN)
"""The metrics of an experiment, in the order of every output."""


@dataclass(frozen=True)
class Cell:
    """One arm on one modality, yardstick and metric.

    `value` has a 95 % interval over lesions; `mean` and `deviation` (n - 1) are over folds; `difference` is
    this arm less the reference on the same images, `None` for the reference itself.
    """

    modality: str
    yardstick: str
    arm: str
    metric: str
    images: int
    value: Interval
    mean: float
    deviation: float | None
    difference: Interval | None
    verdict: Verdict | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            **{k: getattr(self, k) for k in ("modality", "yardstick", "arm", "metric", "images")},
            "value": self.value.to_dict(),
            "mean": self.mean,
            "deviation": self.deviation,
            "difference": self.difference.to_dict() if self.difference else None,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class ArmFacts:
    """What an arm is: its classes, and how fast its nets were trained. Seconds are of training alone."""

    arm: str
    modality: str
    classes: int
    largest: int
    epochs: int
    seconds: float
    images_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


@dataclass(frozen=True)
class Results:
    """Everything that an experiment found. `missing` names the arms that are not trained on every fold."""

    name: str
    reference: str
    cells: tuple[Cell, ...]
    arms: tuple[ArmFacts, ...]
    ensembles: dict[str, tuple[str, ...]]
    tasks: tuple[TaskResult, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    def cell(self, modality: str, yardstick: str, arm: str, metric: str) -> Cell | None:
        """One cell, or `None` where the arm was not judged there."""
        wanted = (modality, yardstick, arm, metric)
        return next((c for c in self.cells if (c.modality, c.yardstick, c.arm, c.metric) == wanted), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "name": self.name,
            "notice": RESEARCH_USE,
            "reference": self.reference,
            "metrics": {m.name: m.definition for m in JUDGED},
            "missing": list(self.missing),
            "notes": list(self.notes),
            "arms": [a.to_dict() for a in self.arms],
            "ensembles": {name: list(arms) for name, arms in self.ensembles.items()},
            "cells": [c.to_dict() for c in self.cells],
            "tasks": [t.to_dict() for t in self.tasks],
        }


def compute(plan: Plan, registry: Registry) -> Results:
    """Judges every arm that is trained on every fold. Raises `TrainingError` where none is."""
    cells: list[Cell] = []
    tasks: list[TaskResult] = []
    missing = []
    for modality in plan.config.modalities:
        tables = unseen(plan, modality)
        missing += [f"{arm.name}/{modality}" for arm in plan.config.arms if arm.name not in tables]
        if not tables:
            continue
        for yardstick in _yardsticks(plan, registry, next(iter(tables.values()))):
            cells += _judge(plan, modality, yardstick, tables)
        if plan.config.reference in tables:
            tasks += judge_tasks(plan, modality, tables[plan.config.reference])
    if not cells:
        raise TrainingError(f"no arm of {plan.config.name!r} is trained on every fold yet")
    facts = tuple(_facts(plan, arm.name, m) for arm in plan.config.arms for m in plan.config.modalities)
    return Results(
        plan.config.name,
        plan.config.reference,
        tuple(cells),
        tuple(f for f in facts if f is not None),
        plan.config.ensembles,
        tuple(tasks),
        tuple(missing),
        plan.split.notes,
    )


def _yardsticks(plan: Plan, registry: Registry, some: Unseen) -> list[Yardstick]:
    taxonomy = some.partition.taxonomy
    found = [level_yardstick(some.images, taxonomy, level) for level in LEVELS if level <= taxonomy.max_depth]
    for name in plan.config.cohorts:
        spec = registry.cohorts.get(name)
        if spec.official_nodes:
            found.append(cohort_yardstick(some.images, spec, taxonomy))
    return [y for y in found if len(y.classes) > 1]


def statistics(yardstick: Yardstick, members: Sequence[Unseen]) -> dict[str, Statistic]:
    """Every metric over the rows that a yardstick judges, of one arm or of several averaged."""
    scores = [yardstick.scores(one) for one in members]
    values = np.mean([plain for plain, _ in scores], axis=0)
    even = np.mean([balanced for _, balanced in scores], axis=0)
    right = values.argmax(axis=1) == yardstick.truth
    return {
        ACCURACY.name: weighted_mean(right.astype(np.float64)),
        BALANCED.name: balanced_accuracy(right, yardstick.truth),
        EVEN.name: balanced_accuracy(even.argmax(axis=1) == yardstick.truth, yardstick.truth),
    }


def _judge(plan: Plan, modality: str, yardstick: Yardstick, tables: dict[str, Unseen]) -> list[Cell]:
    readable = {name: one for name, one in tables.items() if yardstick.judged(one)}
    if not readable:
        return []
    some = next(iter(readable.values()))
    judged = {name: [one] for name, one in readable.items()}
    for name, arms in plan.config.ensembles.items():
        if set(arms) <= set(readable):
            judged[name] = [readable[arm] for arm in arms]
    groups = group_index([some.images[k].lesion for k in yardstick.rows])
    every = {
        (arm, metric): statistic
        for arm, members in judged.items()
        for metric, statistic in statistics(yardstick, members).items()
    }
    drawn = sample(every, groups, resamples=plan.config.resamples, seed=0)
    folds = np.array([some.fold[k] for k in yardstick.rows])
    return [
        _cell(plan, modality, yardstick, arm, metric, drawn, _over_folds(every[arm, metric.name], folds))
        for arm in judged
        for metric in JUDGED
    ]


def _over_folds(statistic: Statistic, folds: FloatArray) -> Sequence[float]:
    """The metric on each fold by itself."""
    weights = np.stack([folds == k for k in np.unique(folds)], axis=1).astype(np.float64)
    return [float(v) for v in statistic(weights)]


def _cell(
    plan: Plan,
    modality: str,
    yardstick: Yardstick,
    arm: str,
    metric: Metric,
    drawn: dict[tuple[str, str], Sampled],
    folds: Sequence[float],
) -> Cell:
    reference = plan.config.reference
    apart, verdict = None, None
    if arm != reference and (reference, metric.name) in drawn:
        apart, verdict = difference(drawn[arm, metric.name], drawn[reference, metric.name], metric)
    return Cell(
        modality,
        yardstick.name,
        arm,
        metric.name,
        len(yardstick.rows),
        interval(drawn[arm, metric.name], metric),
        float(np.mean(folds)),
        float(np.std(folds, ddof=1)) if len(folds) > 1 else None,
        apart,
        verdict,
    )


def _facts(plan: Plan, arm: str, modality: str) -> ArmFacts | None:
    run = plan.runs[arm, modality]
    rows = [row for k in plan.config.trained_folds() for row in read_metrics(run, f"fold-{k}")]
    if not rows:
        return None
    return ArmFacts(
        arm,
        modality,
        len(run.partition.classes),
        max(c.images for c in run.partition.classes),
        run.config.epochs,
        round(sum(float(row.get("seconds", 0)) for row in rows), 1),
        round(float(np.median([float(row["images_per_second"]) for row in rows])), 1),
    )
