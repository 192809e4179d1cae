"""How well does a model tell the two sets of one task apart?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.cohort import Lesion
from core.diagnosis import RESEARCH_USE
from core.errors import CohortError
from core.partition import Partition
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.binary.curve import Curve, curve_of
from dxtree.binary.operating import SENSITIVITIES, SPECIFICITIES, OperatingPoint, operating_points
from dxtree.binary.readers import Comparison, ReaderPoint, compare, readers_of
from dxtree.binary.scores import score_task
from dxtree.binary.task import BinaryTask

FORMAT = 1


@dataclass(frozen=True)
class TaskResult:
    """One task on lesions: for each score its curve, operating points and how readers stand beside it.

    `above`: lesions left out since their label lies above a node of the task; `elsewhere`: of another
    disease; `unanswered`: lesions of the task without an answer. `undecided` and `untrained` are those of
    `TaskScores`.
    """

    task: BinaryTask
    curves: Mapping[str, Curve]
    points: Mapping[str, tuple[OperatingPoint, ...]]
    readers: Mapping[str, tuple[Comparison, ...]]
    above: int
    elsewhere: int
    unanswered: int
    undecided: int
    untrained: tuple[str, ...]
    malignant: str | None
    resamples: int
    seed: int

    @property
    def n(self) -> int:
        """Lesions judged."""
        curve = next(iter(self.curves.values()))
        return curve.positives + curve.negatives

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without NaN."""
        curve = next(iter(self.curves.values()))
        return {
            "format": FORMAT,
            "task": self.task.to_dict(),
            "n": self.n,
            "positives": curve.positives,
            "negatives": curve.negatives,
            "left_out": {
                "label_above_the_sets": self.above,
                "another_diagnosis": self.elsewhere,
                "no_answer": self.unanswered,
            },
            "undecided": self.undecided,
            "untrained_nodes": list(self.untrained),
            "malignant": self.malignant,
            "scores": {
                name: {
                    **found.to_dict(),
                    "operating_points": [p.to_dict() for p in self.points[name]],
                    "readers": [r.to_dict() for r in self.readers[name]],
                }
                for name, found in self.curves.items()
            },
            "resamples": self.resamples,
            "seed": self.seed,
            "intervals": "95 %, percentiles of resamples of whole lesions",
            "research_use": RESEARCH_USE,
        }


def judge(
    task: BinaryTask,
    lesions: Sequence[Lesion],
    values: FloatArray,
    partition: Partition,
    *,
    malignant: str | None = None,
    readers: Sequence[ReaderPoint] = (),
    sensitivities: Sequence[float] = SENSITIVITIES,
    specificities: Sequence[float] = SPECIFICITIES,
    threshold_from: tuple[Sequence[Lesion], FloatArray] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> TaskResult:
    """Judges probabilities of the training classes, `values`: lesions x classes, NaN in rows without answer.

    Lesions outside the task are left out and counted. `threshold_from`: other lesions with their
    probabilities, such as out-of-fold ones, on which the operating points' thresholds are chosen; without it
    they are chosen on the lesions they are judged on, which is optimistic. `readers` of other tasks are
    passed over.

    Raises what `score_task` and `curve_of` raise, and `CohortError` where lesions and rows differ in number.
    """
    chosen, truth, counts = _rows(task, lesions, values, partition)
    scored = score_task(task, values[chosen], partition, malignant=malignant)
    other: Mapping[str, FloatArray] = {}
    other_truth = truth
    if threshold_from is not None:
        rows, other_truth, _ = _rows(task, *threshold_from, partition)
        other = score_task(task, threshold_from[1][rows], partition, malignant=malignant).by_name()
    groups = [lesions[k].lesion for k in chosen]
    curves, points, compared = {}, {}, {}
    for name, scores in scored.by_name().items():
        curves[name] = curve_of(scores, truth, groups=groups, resamples=resamples, seed=seed)
        points[name] = operating_points(
            scores,
            truth,
            sensitivities=sensitivities,
            specificities=specificities,
            threshold_from=(other[name], other_truth) if other else None,
            groups=groups,
            resamples=resamples,
            seed=seed,
        )
        compared[name] = tuple(compare(r, curves[name]) for r in readers_of(task.name, readers))
    return TaskResult(
        task=task,
        curves=curves,
        points=points,
        readers=compared,
        **counts,
        undecided=scored.undecided,
        untrained=scored.untrained,
        malignant=malignant,
        resamples=resamples,
        seed=seed,
    )


def _rows(
    task: BinaryTask, lesions: Sequence[Lesion], values: FloatArray, partition: Partition
) -> tuple[list[int], IntArray, dict[str, int]]:
    """Rows of the task with an answer, their truth, and how many lesions are left out for which reason."""
    if values.ndim != 2 or len(values) != len(lesions):
        raise CohortError(f"{len(lesions)} lesions need one row of probabilities each, not {values.shape}")
    selection = task.select([lesion.label for lesion in lesions], partition.taxonomy)
    answered = np.asarray(~np.isnan(values).any(axis=1))
    chosen = selection.rows[answered[selection.rows]]
    counts = {
        "above": selection.above,
        "elsewhere": selection.elsewhere,
        "unanswered": len(selection.rows) - len(chosen),
    }
    return chosen.tolist(), selection.truth[chosen], counts
