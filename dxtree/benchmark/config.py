"""What states a benchmark? One YAML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from core.case import FIELDS
from core.errors import CohortError, did_you_mean
from dxtree.cohorts.leaking import refuse_leaking

Calibration = Literal["identity", "temperature", "tree", "vector", "isotonic", "dirichlet"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Published(_Part):
    """A result of others, shown beside ours in the report; it takes part in no comparison."""

    name: str
    metric: str
    value: float
    source: str


class Reference(_Part):
    """What other arms are compared with: a fuser and one of the input sets."""

    fuser: str = "image_only"
    inputs: str


class BenchmarkConfig(_Part):
    """Cohorts x evidence sets x fusers x sets of inputs, on identical lesions and folds."""

    name: str
    cohorts: tuple[str, ...] = Field(min_length=1)
    evidence: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")], Path] = Field(min_length=1)
    """Name to the folder of an evidence set, relative to the YAML file; see `dxtree evidence`."""
    fusers: tuple[str, ...] = Field(min_length=1)
    metadata: tuple[str, ...] = FIELDS
    """The metadata fields that may enter, by name. A column that leaks the label is refused."""
    inputs: dict[str, tuple[str, ...]] | Literal["every"]
    """Name to modalities and metadata fields; `every`: each subset that holds a modality."""
    references: tuple[Reference, ...] = Field(min_length=1)
    """The arms that each other one is compared with; the first is the main one."""
    lesions: Literal["out_of_fold", "held_out"] = "out_of_fold"
    """`out_of_fold`: every lesion answered by nets and fusers of other folds. `held_out`: lesions that no
    net was trained on; fusers are fitted on the out-of-fold lesions."""
    folds: int = Field(default=5, ge=2)
    """Folds that are drawn where the evidence brings none of its own."""
    closer: tuple[Reference, ...] = ()
    """Arms that are looked at more closely: reliability, prediction sets, risk and coverage, net benefit."""
    calibrations: tuple[Calibration, ...] = ()
    """Calibrators that are fitted after fusion, on lesions of other folds, for the arms of `closer`."""
    coverage: float = Field(default=0.9, ge=0.5, lt=1)
    """How often a prediction set has to hold the truth."""
    control: str = "logistic"
    """The fuser of `fusers` that is fitted once more, on permuted metadata."""
    nodes: tuple[str, ...] = ()
    """Nodes of the tree whose AUC and average precision are reported, beside the cohort's malignant one."""
    published: tuple[Published, ...] = ()
    resamples: int = Field(default=2000, ge=100)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _names_fit(self) -> BenchmarkConfig:
        if isinstance(self.inputs, dict):
            for name, members in self.inputs.items():
                if not members or len(set(members)) < len(members):
                    raise ValueError(f"inputs {name!r} is empty or names one thing twice")
        if len(set(self.cohorts)) < len(self.cohorts) or len(set(self.fusers)) < len(self.fusers):
            raise ValueError("a cohort or a fuser stands twice")
        if self.control not in self.fusers:
            raise ValueError("control: " + _none_of(self.control, "fusers", self.fusers))
        for one in (*self.references, *self.closer):
            if one.fuser not in self.fusers:
                raise ValueError(_none_of(one.fuser, "fusers", self.fusers))
            if isinstance(self.inputs, dict) and one.inputs not in self.inputs:
                raise ValueError(_none_of(one.inputs, "inputs", self.inputs))
        if self.calibrations and not self.closer:
            raise ValueError("calibrations are fitted for the arms of `closer`; name at least one there")
        return self

    def input_sets(self, modalities: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
        """Name to members.

        Raises `LeakageError` for a column that gives the diagnosis away, and `CohortError` for a member that
        is neither a modality nor an allowed field, or for a set without a modality.
        """
        self._check_fields(modalities)
        if self.inputs == "every":
            every = [*modalities, *self.metadata]
            subsets = (c for size in range(1, len(every) + 1) for c in combinations(every, size))
            return {" + ".join(c): c for c in subsets if set(c) & set(modalities)}
        found: dict[str, tuple[str, ...]] = dict(self.inputs)
        for name, members in found.items():
            for one in members:
                if one not in modalities and one not in self.metadata:
                    known = (*modalities, *self.metadata)
                    raise CohortError(
                        f"inputs {name!r}: {one!r} is neither a modality of the evidence nor an allowed "
                        f"metadata field; there are {', '.join(known)}{did_you_mean(one, known)}"
                    )
            if not set(members) & set(modalities):
                raise CohortError(f"inputs {name!r} holds no modality; metadata alone is in every report")
        return found

    def _check_fields(self, modalities: tuple[str, ...]) -> None:
        members = () if self.inputs == "every" else (m for one in self.inputs.values() for m in one)
        refuse_leaking(m for m in (*self.metadata, *members) if m not in modalities)
        for name in self.metadata:
            if name not in FIELDS:
                known = ", ".join(FIELDS)
                raise CohortError(f"metadata {name!r} is none of {known}{did_you_mean(name, FIELDS)}")


def _none_of(name: str, what: str, known: Iterable[str]) -> str:
    return f"{name!r} is none of the {what} {', '.join(known)}{did_you_mean(name, known)}"


def read_benchmark(
    path: Path, evidence: Mapping[str, Path] | None = None, lesions: str | None = None
) -> BenchmarkConfig:
    """Reads a benchmark, its folders resolved against the file's own; `evidence` names others in their place.

    `lesions` stands in place of the file's own where it is given.

    Raises `CohortError` naming each field that cannot be used, and why.
    """
    try:
        raw: Any = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CohortError(f"{path.name} cannot be read ({type(error).__name__})") from error
    except yaml.YAMLError as error:
        raise CohortError(f"{path.name} is no YAML ({type(error).__name__})") from error
    try:
        if lesions is not None and isinstance(raw, dict):
            raw = raw | {"lesions": lesions}
        found = BenchmarkConfig.model_validate(raw)
    except ValidationError as error:
        wrong = (f"{'.'.join(map(str, e['loc'])) or 'benchmark'}: {e['msg']}" for e in error.errors())
        raise CohortError(f"{path.name}: " + "; ".join(wrong)) from error
    folders = {name: (path.parent / folder).resolve() for name, folder in found.evidence.items()}
    for name in evidence or {}:
        if name not in folders:
            known = ", ".join(folders)
            raise CohortError(
                f"evidence {name!r} is none of {path.name}: {known}{did_you_mean(name, folders)}"
            )
    return found.model_copy(update={"evidence": {**folders, **(evidence or {})}})
