"""Do fusers gain where there is something to gain, and nothing where there is nothing?"""

from __future__ import annotations

import numpy as np
import pytest

from core.case import PatientMetadata
from core.manifest import Bundle
from fusion.training import fit_fuser

LEARNERS = (
    "bayes",
    "boosted",
    "boosted_monotone",
    "joint_concat",
    "joint_metablock",
    "logistic",
    "pool",
    "stack",
)
WITH_METADATA = tuple(name for name in LEARNERS if name != "pool")


class _Bare:
    """A fuser that is never told about the patient."""

    def __init__(self, fuser):
        self.fuser = fuser

    def fuse(self, evidence, patient):
        return self.fuser.fuse(evidence, PatientMetadata())


@pytest.fixture(scope="module")
def unseen(clinic):
    return [c for c in clinic.cases(800, 101, missing=0.0) if len(c.evidence) == 2]


@pytest.mark.parametrize("name", WITH_METADATA)
def test_metadata_that_carries_signal_raises_accuracy(name, clinic, fuser_of, unseen):
    fuser = fuser_of(name)
    with_it, without = clinic.accuracy(fuser, unseen), clinic.accuracy(_Bare(fuser), unseen)
    assert with_it > without + 0.03
    assert clinic.loss(fuser, unseen) < clinic.loss(_Bare(fuser), unseen) - 0.05


@pytest.mark.parametrize("name", ["bayes", "boosted", "joint_concat", "logistic"])
def test_shuffled_metadata_raises_nothing(name, clinic, specs, cases, unseen, shuffled):
    manifest, files = fit_fuser(specs[name], shuffled(cases, 5), clinic.cells, 0)
    fuser, given = specs[name].load(clinic.cells, Bundle(manifest, files, "d")), shuffled(unseen, 6)
    with_it, without = clinic.accuracy(fuser, given), clinic.accuracy(_Bare(fuser), given)
    assert abs(with_it - without) < 0.02
    assert abs(clinic.loss(fuser, given) - clinic.loss(_Bare(fuser), given)) < 0.02


@pytest.mark.parametrize("name", LEARNERS)
def test_two_modalities_beat_the_better_one(name, clinic, fuser_of, unseen):
    fuser = fuser_of(name)
    alone = [clinic.cells.ids[c.evidence[1].probabilities.values.argmax()] == c.truth for c in unseen]
    assert clinic.accuracy(_Bare(fuser), unseen) > np.mean(alone) + 0.02


@pytest.mark.parametrize("name", LEARNERS)
def test_fused_answers_are_calibrated(name, clinic, fuser_of, unseen):
    """Mean probability of malignant equals its share, in the natural mixture, within sampling noise."""
    fuser = fuser_of(name)
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    said = np.array([fuser.fuse(c.evidence, c.patient).values[malignant].sum() for c in unseen])
    true = np.array([c.truth.startswith("malignant") for c in unseen], float)
    parts = np.array_split(np.argsort(said), 5)
    gaps = [abs(np.mean(said[p] - true[p])) for p in parts]
    assert np.mean(gaps) < 0.05
