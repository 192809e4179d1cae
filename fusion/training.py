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
from core.probabilities import mean
from core.tree import FloatArray
from fusion.balance import BALANCE_LEVEL, BALANCE_POWER, Mixture, log_shares
from fusion.blend import own_weight
from fusion.calibration import fit_temperature, log_softmax
from fusion.evidence import in_order
from fusion.fitted import KIND, OWN_WEIGHT
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
    def natural(self) -> FloatArray:
        """Weight of each row where every lesion weighs the same, as they come to a clinic."""
        return arrays(rows_of(self.cases, self.partition, self.seed, 1.0))[2]

    @cached_property
    def images(self) -> FloatArray:
        """What `image_only` says of each row: rows x classes."""
        return np.stack([mean(e.probabilities for e in row.evidence).values for row in self.rows])

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

    def conclude(
        self, name: str, logits: FloatArray, libraries: Sequence[str], fields: Sequence[str] | None = None
    ) -> tuple[dict[str, Any], FloatArray]:
        """The manifest, and the probabilities of every row, both from its cross-fitted logits.

        The temperature is that of all rows under their weights. The own weight is that of `fusion.blend`, for
        lesions as they come. `fields` are those the fuser uses, all where none are named. Where the fuser
        passes one modality through, the row's answer is that of the modality.
        """
        known = self.fields if fields is None else tuple(fields)
        learned = np.array([len(r.evidence) > 1 or bool({*r.patient.known()} & {*known}) for r in self.rows])
        part, truth = logits[learned], self.truth[learned]
        answers, temperature, own = self.images.copy(), 1.0, 1.0
        if learned.any():
            temperature = fit_temperature(part, truth, self.weight[learned])
            said = self.mixture().apply(np.exp(log_softmax(part / temperature)))
            said /= said.sum(axis=1, keepdims=True)
            at, images = np.arange(len(truth)), answers[learned]
            lesions = [row.lesion for row, k in zip(self.rows, learned.tolist(), strict=True) if k]
            own = own_weight(said[at, truth], images[at, truth], lesions, self.natural[learned])
            answers[learned] = own * said + (1 - own) * images
        manifest = self.manifest(name, temperature, libraries, known) | {OWN_WEIGHT: own}
        return manifest, answers

    def mixture(self) -> Mixture:
        """From the balanced mixture of the fit to the one that fusers answer for."""
        return Mixture(self.partition, self.shift())

    def manifest(
        self, name: str, temperature: float, libraries: Sequence[str], fields: Sequence[str]
    ) -> dict[str, Any]:
        """What the bundle says of the fit; `libraries` are the distributions that took part."""
        return {
            "kind": KIND,
            "fuser": name,
            "classes": list(self.partition.ids),
            "partition": self.partition.fingerprint,
            "modalities": list(self.modalities),
            "fields": list(fields),
            "temperature": float(temperature),
            "balance_power": self.power,
            "balance_level": BALANCE_LEVEL,
            "first_level_shift": dict(zip(self.partition.ids, self.shift().tolist(), strict=True)),
            "seed": self.seed,
            "lesions": len({c.lesion for c in self.cases}),
            "folds": self.folds,
            "library_versions": versions(libraries),
        }


@dataclass(frozen=True)
class Learned:
    """A fitted fuser: manifest and files of its bundle, and its cross-fitted probabilities of every row."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    crossed: FloatArray

    @property
    def bundle(self) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        """Manifest and files."""
        return self.manifest, self.files


def prepare(cases: Sequence[FusionCase], partition: Partition, seed: int) -> Fitting:
    """Checks cases as `check_cases` does and sorts them.

    Raises `TrainingError` too where no case has two modalities or a known field: then every answer is that
    of the one image, and there is nothing to learn.
    """
    check_cases(cases, partition)
    data = Fitting(tuple(sorted(cases, key=lambda c: (c.cohort, c.lesion))), partition, seed)
    if not data.rows:
        raise TrainingError("no case has two modalities or any metadata; a fuser needs one of them to learn")
    return data


def versions(libraries: Sequence[str]) -> dict[str, str]:
    """Version of Python, numpy and those of the named distributions that are installed."""
    found = {"python": platform.python_version()}
    for name in sorted({"numpy", *libraries}):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
