"""Do fusers gain where there is something to gain, and nothing where there is nothing?"""

from __future__ import annotations

import numpy as np
import pytest

from core.case import PatientMetadata
from core.manifest import Bundle
from fusion.training import fit_fuser

LEARNERS = ("bayes", "boosted", "logistic")


class _Bare:
    """A fuser that is never told about the patient."""

    def __init__(self, fuser):
        self.fuser = fuser

    def fuse(self, evidence, patient):
        return self.fuser.fuse(evidence, PatientMetadata())


@pytest.fixture(scope="module")
def trained(clinic, specs):
    kept = {}

    def of(name, cases):
        if (name, id(cases)) not in kept:
            manifest, files = fit_fuser(specs[name], cases, clinic.cells, 0)
            kept[name, id(cases)] = specs[name].load(clinic.cells, Bundle(manifest, files, "d")), cases
        return kept[name, id(cases)][0]

    return of


@pytest.fixture(scope="module")
def unseen(clinic):
    return [c for c in clinic.cases(1500, 101, missing=0.0) if len(c.evidence) == 2]


@pytest.fixture(scope="module")
def seen(clinic):
    """Long-lived, so that a fit is found again by its identity."""
    return clinic.cases(600, 100, missing=0.1)


@pytest.mark.parametrize("name", LEARNERS)
def test_metadata_that_carries_signal_raises_accuracy(name, clinic, trained, seen, unseen):
    fuser = trained(name, seen)
    with_it, without = clinic.accuracy(fuser, unseen), clinic.accuracy(_Bare(fuser), unseen)
    assert with_it > without + 0.03
    assert clinic.loss(fuser, unseen) < clinic.loss(_Bare(fuser), unseen) - 0.05


@pytest.mark.parametrize("name", LEARNERS)
def test_shuffled_metadata_raises_nothing(name, clinic, trained, seen, unseen, shuffled):
    fuser, given = trained(name, shuffled(seen, 5)), shuffled(unseen, 6)
    with_it, without = clinic.accuracy(fuser, given), clinic.accuracy(_Bare(fuser), given)
    assert abs(with_it - without) < 0.02
    assert abs(clinic.loss(fuser, given) - clinic.loss(_Bare(fuser), given)) < 0.02


@pytest.mark.parametrize("name", LEARNERS)
def test_two_modalities_beat_the_better_one(name, clinic, trained, seen, unseen):
    fuser = trained(name, seen)
    alone = [clinic.cells.ids[c.evidence[1].probabilities.values.argmax()] == c.truth for c in unseen]
    assert clinic.accuracy(_Bare(fuser), unseen) > np.mean(alone) + 0.02


@pytest.mark.parametrize("name", LEARNERS)
def test_fused_answers_are_calibrated(name, clinic, trained, seen, unseen):
    """Mean probability of malignant equals its share, in the natural mixture, within sampling noise."""
    fuser = trained(name, seen)
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    said = np.array([fuser.fuse(c.evidence, c.patient).values[malignant].sum() for c in unseen])
    true = np.array([c.truth.startswith("malignant") for c in unseen], float)
    parts = np.array_split(np.argsort(said), 5)
    gaps = [abs(np.mean(said[p] - true[p])) for p in parts]
    assert np.mean(gaps) < 0.05
