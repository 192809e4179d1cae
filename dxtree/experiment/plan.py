"""Which nets does an experiment train, and on what? All follows from its file, its images and its split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.cohort import LabelledImage
from core.errors import TrainingError
from core.partition import Partition, partition_at_level, partition_tree
from core.split import TRAINING, Split
from core.taxonomy import Taxonomy
from dxtree.experiment.config import Arm, ExperimentConfig
from modalities.training.journal import read
from modalities.training.run import Run
from modalities.training.starting import FINAL


@dataclass(frozen=True)
class Unit:
    """One net to train: an arm's, on one modality, that did not see one fold (or, for `final`, none)."""

    arm: str
    modality: str
    target: str
    run: Run
    turns: int = 1

    @property
    def name(self) -> str:
        """Such as pa-150/dermoscopy/fold-0."""
        return f"{self.arm}/{self.modality}/{self.target}"

    def is_finished(self) -> bool:
        """Whether weights and evidence are there."""
        turned = self.turns == 1 or (self.run.folder / self.target / f"evidence-{self.turns}.csv").is_file()
        return turned and self.run.is_finished(self.target)


@dataclass(frozen=True)
class Plan:
    """An experiment over its images: one run an arm and modality, in the order that they are trained."""

    config: ExperimentConfig
    folder: Path
    split: Split
    images: tuple[LabelledImage, ...]
    runs: dict[tuple[str, str], Run]
    """By arm and modality."""

    def units(self) -> list[Unit]:
        """Every net: fold by fold and arm by arm, so that a table of one fold stands early."""
        targets = [f"fold-{k}" for k in self.config.trained_folds()]
        found = [
            Unit(arm.name, modality, target, self.runs[arm.name, modality], self.config.turns)
            for target in targets
            for modality in self.config.modalities
            for arm in self.config.arms
        ]
        if self.config.bundle:
            name = self.config.reference
            found += [Unit(name, m, FINAL, self.runs[name, m]) for m in self.config.modalities]
        return found


def make_plan(
    config: ExperimentConfig,
    folder: Path,
    taxonomy: Taxonomy,
    images: Sequence[LabelledImage],
    split: Split,
    weights: str | None,
) -> Plan:
    """Cuts the tree for every arm from the training part's counts of all modalities together.

    Raises `TrainingError` where a modality has no image and what `Run` raises.
    """
    counts = Counter(i.label for i in split.select(images, TRAINING))
    runs = {}
    for arm in config.arms:
        partition = cut(arm, taxonomy, counts)
        for modality in config.modalities:
            chosen = tuple(i for i in images if i.modality == modality)
            if not chosen:
                raise TrainingError(f"no image of the cohorts is of modality {modality!r}")
            training = config.training_of(arm, modality, weights)
            place = folder / "arms" / arm.name / modality
            runs[arm.name, modality] = Run(
                place, training, partition, split, chosen, folder / "activations" / modality
            )
    return Plan(config, folder, split, tuple(images), runs)


def cut(arm: Arm, taxonomy: Taxonomy, counts: Counter[str]) -> Partition:
    """The training classes of an arm."""
    if arm.max_size is not None:
        return partition_tree(taxonomy, counts, max_size=arm.max_size, preset=arm.preset)
    level = taxonomy.max_depth if arm.level == "leaves" else arm.level
    return partition_at_level(taxonomy, counts, int(level or 1))


def read_metrics(run: Run, target: str) -> list[dict[str, Any]]:
    """The rows that a target's training logged, one an epoch; rows of other events are left out."""
    return [row for row in read(run.folder / target / "metrics.jsonl") if "epoch" in row]
