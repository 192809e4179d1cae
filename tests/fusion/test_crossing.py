"""Is every lesion answered by a fuser that did not see it, in the order given?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.case import PatientMetadata
from core.errors import TrainingError
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from fusion.crossing import cross_fitted, cross_fitted_views, renumbered
from plugins.specs import FuserSpec, FusionCase


class Remembering:
    """A fuser that knows which lesions it was fitted on, and is sure of the first class where it saw one."""

    name, provenance = "remembering", {}

    def __init__(self, classes: tuple[str, ...], evidence: Sequence[float]) -> None:
        self.classes, self.seen = classes, set(evidence)

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        known = float(evidence[0].probabilities.values[0]) in self.seen
        weights = np.ones(len(self.classes))
        weights[0 if known else 1] = 1e9
        return LeafProbabilities.from_weights(self.classes, weights)

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        return ()


def remembering(fitted_folds: list[set[int]]) -> FuserSpec:
    def fit(
        cases: Sequence[FusionCase], partition: Partition, seed: int
    ) -> tuple[Mapping[str, Any], Mapping[str, bytes]]:
        fitted_folds.append({c.fold for c in cases})
        return {"seen": [float(c.evidence[0].probabilities.values[0]) for c in cases]}, {}

    def load(partition: Partition, bundle: Bundle | None) -> Remembering:
        assert bundle is not None
        return Remembering(partition.ids, bundle.manifest["seen"])

    return FuserSpec("remembering", "Of a test", load, fit)


def test_no_lesion_is_answered_by_a_fuser_that_saw_it(clinic: Any, cases: list[FusionCase]) -> None:
    folds: list[set[int]] = []
    answers = cross_fitted(remembering(folds), cases, clinic.cells, 0)
    assert answers.shape == (len(cases), len(clinic.cells.ids))
    assert (answers.argmax(axis=1) == 1).all()
    assert folds == [{0, 1}] * 3


def test_with_two_folds_the_one_that_is_left_is_cut_in_two(clinic: Any, cases: list[FusionCase]) -> None:
    folds: list[set[int]] = []
    two = [replace(c, fold=c.fold % 2) for c in cases]
    answers = cross_fitted(remembering(folds), two, clinic.cells, 0)
    assert (answers.argmax(axis=1) == 1).all()
    assert folds == [{0, 1}] * 2


def test_one_lesion_stays_in_one_fold_when_a_fold_is_cut(cases: list[FusionCase]) -> None:
    def spelt_anew(name: str) -> str:
        return (name + " ")[:-1]

    twice = [
        replace(c, fold=4, cohort=name, lesion=spelt_anew(c.lesion))
        for c in cases[:60]
        for name in ("a", "b")
    ]
    found = renumbered(twice)
    assert {c.fold for c in found} == {0, 1}
    assert all(one.fold == other.fold for one, other in zip(found[::2], found[1::2], strict=True))


def test_answers_follow_the_order_of_the_cases(clinic: Any, specs: Any, cases: list[FusionCase]) -> None:
    order = np.random.default_rng(1).permutation(len(cases))
    straight = cross_fitted(specs["bayes"], cases, clinic.cells, 0)
    mixed = cross_fitted(specs["bayes"], [cases[k] for k in order], clinic.cells, 0)
    assert np.array_equal(mixed, straight[order])


def test_a_fuser_that_learns_nothing_is_asked_as_it_is(
    clinic: Any, specs: Any, cases: list[FusionCase]
) -> None:
    fuser = specs["image_only"].load(clinic.cells, None)
    said = [fuser.fuse(c.evidence, c.patient).values for c in cases]
    assert np.array_equal(cross_fitted(specs["image_only"], cases, clinic.cells, 0), np.stack(said))


def test_what_is_kept_back_is_kept_from_the_answer_and_not_from_the_fit(
    clinic: Any, specs: Any, cases: list[FusionCase]
) -> None:
    def bare(case: FusionCase) -> FusionCase:
        return replace(case, evidence=case.evidence[-1:], patient=PatientMetadata())

    spec = specs["logistic"]
    bare_rows = cross_fitted(spec, cases, clinic.cells, 0, keep=bare)
    alone = np.stack([c.evidence[-1].probabilities.values for c in cases])
    assert np.array_equal(bare_rows, alone)
    both = cross_fitted_views(spec, cases, clinic.cells, 0, lambda c: [c, bare(c)])
    assert np.array_equal(np.stack([b[0] for b in both]), cross_fitted(spec, cases, clinic.cells, 0))
    assert np.array_equal(np.stack([b[1] for b in both]), bare_rows)


def test_cases_that_leak_are_refused(clinic: Any, specs: Any, cases: list[FusionCase]) -> None:
    leaked = [*cases, replace(cases[0], cohort="third", fold=cases[0].fold + 1)]
    with pytest.raises(TrainingError, match="lies in folds"):
        cross_fitted(specs["image_only"], leaked, clinic.cells, 0)
