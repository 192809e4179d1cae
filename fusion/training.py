"""How is a fuser fitted? On lesions whose evidence comes from nets that never saw them, checked first.

Every fit here is cross-fitted by the same folds: what chooses a penalty, a weight or a temperature was
answered by a model that did not see the lesion either.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from core.case import FIELDS
from core.errors import TrainingError
from core.partition import Partition
from core.tree import FloatArray
from fusion.balance import BALANCE_LEVEL, BALANCE_POWER, log_shares
from fusion.evidence import in_order
from fusion.fitted import KIND
from fusion.rows import IntArray, Row, arrays, rows_of
from plugins.specs import FuserSpec, FusionCase

BoolArray = npt.NDArray[np.bool_]


def fit_fuser(
    spec: FuserSpec, cases: Sequence[FusionCase], partition: Partition, seed: int, licence: str | None = None
) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
    """Fits any fuser, ours or a plugin's, and returns the manifest and files of its bundle.

    `licence` is that of the data, where it binds what is learned from them. Raises `TrainingError` for a
    fuser that learns nothing and for cases that `check_cases` refuses.
    """
    if spec.fit is None:
        raise TrainingError(f"the {spec.name} fuser learns nothing; use it as it is")
    check_cases(cases, partition)
    manifest, files = spec.fit(cases, partition, seed)
    return ({**manifest, "licence": licence} if licence else manifest), files


def check_cases(cases: Sequence[FusionCase], partition: Partition) -> None:
    """Refuses cases on which nothing honest can be fitted.

    Raises `TrainingError` for no cases, fewer than two folds, a fold without a lesion, a lesion in two folds
    or twice in a cohort, a truth that is no training class, fewer than two classes; `ContractError` for
    evidence over other classes.
    """
    if not cases:
        raise TrainingError("there are no cases to fit a fuser on")
    fold: dict[str, int] = {}
    for case in cases:
        if fold.setdefault(case.lesion, case.fold) != case.fold:
            raise TrainingError(f"lesion {case.lesion} lies in folds {fold[case.lesion]} and {case.fold}")
        if case.truth not in partition.ids:
            raise TrainingError(f"{case.truth!r} of lesion {case.lesion} is no training class")
        in_order(case.evidence, partition)
    folds = set(fold.values())
    lost = sorted(set(range(max(2, max(folds) + 1))) - folds)
    if lost or min(folds) < 0:
        raise TrainingError(
            f"fold {lost[0] if lost else min(folds)} has no lesion; folds are numbered from 0, two at least"
        )
    if len({(c.cohort, c.lesion) for c in cases}) < len(cases):
        raise TrainingError("a lesion stands twice in one cohort; put its evidence into one case")
    if len({c.truth for c in cases}) < 2:
        raise TrainingError(f"all cases are of class {cases[0].truth!r}; two classes are needed")


@dataclass(frozen=True)
class Fitting:
    """Checked cases, sorted so that their order cannot change a bit, and what every fit derives from them."""

    cases: tuple[FusionCase, ...]
    partition: Partition
    seed: int
    power: float = BALANCE_POWER

    @cached_property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that have evidence, sorted."""
        return tuple(sorted({e.modality for c in self.cases for e in c.evidence}))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The metadata fields known in at least one case."""
        return tuple(f for f in FIELDS if any(getattr(c.patient, f) is not None for c in self.cases))

    @cached_property
    def rows(self) -> list[Row]:
        """Every case with subsets of its inputs."""
        return rows_of(self.cases, self.partition, self.seed, self.power)

    @cached_property
    def truth(self) -> IntArray:
        """Place of the true class of each row."""
        return arrays(self.rows)[0]

    @cached_property
    def fold(self) -> IntArray:
        """Fold of each row."""
        return arrays(self.rows)[1]

    @cached_property
    def weight(self) -> FloatArray:
        """Weight of each row."""
        return arrays(self.rows)[2]

    @cached_property
    def folds(self) -> int:
        """Number of folds."""
        return max(c.fold for c in self.cases) + 1

    def others(self, fold: int | None) -> tuple[FusionCase, ...]:
        """The cases outside a fold; all for `None`."""
        return tuple(c for c in self.cases if c.fold != fold)

    def target(self, fold: int | None = None) -> FloatArray:
        """Log prior of the classes under the weights of the fit: balanced shares outside `fold`."""
        return log_shares(self.others(fold), self.partition, self.power)

    def shift(self) -> FloatArray:
        """Log of natural over balanced share of each class; see `fusion.balance.Mixture`."""
        return log_shares(self.cases, self.partition, 1.0) - self.target()

    def crossed(self, fit: Callable[[int], Callable[[BoolArray], FloatArray]]) -> FloatArray:
        """Logits of every row, rows x classes, from a model that did not see the row's fold.

        `fit(fold)` fits on everything else and answers for the rows of a mask.
        """
        found = np.empty((len(self.rows), len(self.partition.ids)))
        for fold in range(self.folds):
            inside = self.fold == fold
            found[inside] = fit(fold)(inside)
        return found

    def manifest(self, name: str, temperature: float, libraries: Sequence[str]) -> dict[str, Any]:
        """What the bundle says of the fit; `libraries` are the distributions that took part."""
        return {
            "kind": KIND,
            "fuser": name,
            "classes": list(self.partition.ids),
            "partition": self.partition.fingerprint,
            "modalities": list(self.modalities),
            "fields": list(self.fields),
            "temperature": float(temperature),
            "balance_power": self.power,
            "balance_level": BALANCE_LEVEL,
            "first_level_shift": dict(zip(self.partition.ids, self.shift().tolist(), strict=True)),
            "seed": self.seed,
            "lesions": len({c.lesion for c in self.cases}),
            "folds": self.folds,
            "library_versions": versions(libraries),
        }


def prepare(cases: Sequence[FusionCase], partition: Partition, seed: int) -> Fitting:
    """Checks cases as `check_cases` does and sorts them."""
    check_cases(cases, partition)
    return Fitting(tuple(sorted(cases, key=lambda c: (c.cohort, c.lesion))), partition, seed)


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Version of Python, numpy and those of the named distributions that are installed."""
    found = {"python": platform.python_version()}
    for name in sorted({"numpy", *libraries}):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
