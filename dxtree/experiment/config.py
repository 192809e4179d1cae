"""What states an experiment? One YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.errors import TrainingError, did_you_mean
from core.partition import Preset
from modalities.training.config import TrainingConfig
from modalities.training.recipe import make_config, read_recipe


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitConfig(_Part):
    """How lesions are split; see `dxtree split`."""

    validation: float = Field(default=0.2, ge=0, lt=1)
    folds: int = Field(default=3, ge=2)
    seed: int = Field(default=0, ge=0)
    quality_filter: bool = False
    """Whether blurred and far-away images leave results; they are trained on all the same."""


class Arm(_Part):
    """One way to cut the tree into training classes, or to train on them.

    Either `max_size`, the largest class of the PA partition in training images, or `level`, the level of the
    tree whose nodes are the classes, ``leaves`` being the deepest.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    max_size: int | None = Field(default=None, ge=1)
    level: int | Literal["leaves"] | None = None
    preset: Preset = "reference"
    training: dict[str, Any] = Field(default_factory=dict)
    """Fields of the training that differ from the experiment's."""

    @model_validator(mode="after")
    def _one_cut(self) -> Arm:
        if (self.max_size is None) == (self.level is None):
            raise ValueError("an arm has either max_size or level")
        if isinstance(self.level, int) and self.level < 1:
            raise ValueError("level is 1 or more, or leaves")
        return self


class ExperimentConfig(_Part):
    """One experiment: every arm is trained on every modality and fold, and compared with `reference`."""

    name: str
    taxonomy: str = "isic_diagnosis"
    cohorts: tuple[str, ...] = Field(min_length=1)
    modalities: tuple[str, ...] = Field(min_length=1)
    split: SplitConfig = SplitConfig()
    folds: tuple[int, ...] | None = None
    """Folds that are trained; `None`: all."""
    recipe: str = "modern"
    training: dict[str, Any] = Field(default_factory=dict)
    """Fields of `TrainingConfig` that differ from the recipe's."""
    arms: tuple[Arm, ...] = Field(min_length=1)
    reference: str
    """The arm that each other one is compared with."""
    sweep: tuple[str, ...] = ()
    """Arms that the figure of accuracy against class size shows; those with a max_size."""
    ensembles: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Arms whose probabilities of a node are averaged, by a name of their own; judged beside the arms."""
    tasks: tuple[str, ...] = ()
    """Binary tasks, read from the reference arm; see `dxtree binary`."""
    turns: int = Field(default=1, ge=1, le=8)
    """Test-time augmentation: turns and flips of each image whose answers are averaged; 1 is none."""
    bundle: bool = False
    """Whether the reference arm's final nets are trained on all folds and become bundles."""
    licence: str = "not stated"
    """Licence of the bundles, as their data allow."""
    resamples: int = Field(default=2000, ge=100)

    @model_validator(mode="after")
    def _names_fit(self) -> ExperimentConfig:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError("two arms share a name")
        if both := set(names) & set(self.ensembles):
            raise ValueError(f"{min(both)!r} is an arm and an ensemble")
        members = (name for arms in self.ensembles.values() for name in arms)
        for name in (self.reference, *self.sweep, *members):
            if name not in names:
                raise ValueError(
                    f"{name!r} is none of the arms {', '.join(names)}{did_you_mean(name, names)}"
                )
        if any(self.arm(name).max_size is None for name in self.sweep):
            raise ValueError("an arm of the sweep has a max_size")
        if self.folds is not None and not set(self.folds) <= set(range(self.split.folds)):
            raise ValueError(f"folds are 0 to {self.split.folds - 1}")
        return self

    def arm(self, name: str) -> Arm:
        """The arm of this name."""
        return next(arm for arm in self.arms if arm.name == name)

    def trained_folds(self) -> tuple[int, ...]:
        """The folds whose nets are trained."""
        return self.folds if self.folds is not None else tuple(range(self.split.folds))

    def training_of(self, arm: Arm, modality: str, weights: str | None) -> TrainingConfig:
        """The recipe of one arm. Raises `TrainingError` for a field or value that it cannot have."""
        fields = {**read_recipe(self.recipe), **self.training, **arm.training}
        return make_config({**fields, "modality": modality, "weights": weights})


def read_experiment(path: Path) -> ExperimentConfig:
    """Reads an experiment. Raises `TrainingError` naming each field that cannot be used, and why."""
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path.name} cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise TrainingError(f"{path.name} is no YAML ({type(error).__name__})") from error
    try:
        found = ExperimentConfig.model_validate(raw)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc'])) or 'experiment'}: {e['msg']}" for e in error.errors())
        raise TrainingError(f"{path.name}: " + "; ".join(wrong)) from error
    for arm in found.arms:
        found.training_of(arm, found.modalities[0], None)
    return found
