"""How well does the reference arm tell two sets of nodes apart, on images that its nets did not see?"""

from __future__ import annotations

from core.cohort import Lesion
from core.errors import TrainingError, did_you_mean
from dxtree.binary import PAPER_TASKS, BinaryTask, TaskResult, esteva_readers, judge
from dxtree.experiment.plan import Plan
from dxtree.experiment.unseen import Unseen

MALIGNANT = "Malignant"
"""Node whose probability is a score of its own, where the tree has it."""


def task_of(name: str) -> BinaryTask:
    """A task that ships. Raises `TrainingError` for another name."""
    known = {task.name: task for task in PAPER_TASKS}
    if name not in known:
        raise TrainingError(f"task {name!r} is none of {', '.join(known)}{did_you_mean(name, known)}")
    return known[name]


def judge_tasks(plan: Plan, modality: str, one: Unseen) -> list[TaskResult]:
    """Every task of the experiment that this modality answers; one row an image, grouped by lesion."""
    rows = [Lesion(i.lesion, i.cohort, i.label, i.official, i.patient, (i,), i.groups) for i in one.images]
    tree = one.partition.taxonomy
    found = []
    for name in plan.config.tasks:
        task = task_of(name)
        if task.modality in (None, modality):
            found.append(
                judge(
                    task,
                    rows,
                    one.probabilities,
                    one.partition,
                    malignant=MALIGNANT if MALIGNANT in tree else None,
                    readers=esteva_readers(),
                    resamples=plan.config.resamples,
                )
            )
    return found
