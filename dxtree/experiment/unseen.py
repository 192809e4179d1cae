"""What did each arm say of the images that its nets had not seen? One table an arm and modality."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.cohort import LabelledImage
from core.partition import Partition
from core.tree import FloatArray
from dxtree.experiment.plan import Plan
from modalities.training.evidence import read_evidence
from modalities.training.run import Run, read_data


@dataclass(frozen=True)
class Unseen:
    """Out-of-fold answers of one arm on one modality, in the order of `images`.

    `probabilities`: images x training classes, rows summing to 1; `prior`: the same shape, the prior that
    each image's net carries; `fold`: the fold of each image.
    """

    partition: Partition
    images: tuple[LabelledImage, ...]
    probabilities: FloatArray
    prior: FloatArray
    fold: tuple[int, ...]

    def groups(self) -> tuple[str, ...]:
        """The lesion of each image."""
        return tuple(image.lesion for image in self.images)


def unseen(plan: Plan, modality: str) -> dict[str, Unseen]:
    """Answers of every arm whose folds are all trained, by arm, on the same images in the same order."""
    found = {}
    for arm in plan.config.arms:
        run = plan.runs[arm.name, modality]
        if all(run.is_finished(f"fold-{k}") for k in plan.config.trained_folds()):
            found[arm.name] = gather(run, plan.config.trained_folds(), plan.config.turns)
    return _common(found)


def gather(run: Run, folds: Sequence[int], turns: int = 1) -> Unseen:
    """Answers of one run's fold nets, `turns` as in `Run.answer_turned`.

    Raises `TrainingError` where a fold is not trained.
    """
    known = {(i.cohort, i.image): i for i in run.images}
    images: list[LabelledImage] = []
    rows, priors, fold = [], [], []
    for k in folds:
        folder = run.folder / f"fold-{k}"
        path = folder / "evidence.csv" if turns == 1 else run.answer_turned(f"fold-{k}", turns)
        keys, logits, classes = read_evidence(path)
        prior = read_data(folder)["prior"]
        images += [known[cohort, image] for image, _, cohort in keys]
        rows.append(softmax(logits))
        priors.append(np.tile([prior[c] for c in classes], (len(keys), 1)))
        fold += [k] * len(keys)
    return Unseen(run.partition, tuple(images), np.concatenate(rows), np.concatenate(priors), tuple(fold))


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of logits, N x classes, each row for itself."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def _common(found: dict[str, Unseen]) -> dict[str, Unseen]:
    """The same tables over the images that every arm has answered."""
    if not found:
        return found
    keys = [{(i.cohort, i.image) for i in one.images} for one in found.values()]
    shared = set.intersection(*keys)
    return {name: _over(one, shared) for name, one in found.items()}


def _over(one: Unseen, keys: set[tuple[str, str]]) -> Unseen:
    order = sorted(range(len(one.images)), key=lambda k: (one.images[k].cohort, one.images[k].image))
    rows = [k for k in order if (one.images[k].cohort, one.images[k].image) in keys]
    return Unseen(
        one.partition,
        tuple(one.images[k] for k in rows),
        one.probabilities[rows],
        one.prior[rows],
        tuple(one.fold[k] for k in rows),
    )
