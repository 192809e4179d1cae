"""What does a fuser say without an image? What it would start from, and no more."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from core.case import PatientMetadata
from core.probabilities import LeafProbabilities

WITH_METADATA = (
    "bayes",
    "boosted",
    "boosted_monotone",
    "joint_concat",
    "joint_metablock",
    "logistic",
    "stack",
)
NOBODY = PatientMetadata()
SOMEBODY = PatientMetadata(age_years=62, sex="female", site="back")


@pytest.mark.parametrize("name", [*WITH_METADATA, "pool"])
def test_every_subset_of_metadata_has_a_prior(name, fuser_of, clinic):
    for kept in itertools.product([True, False], repeat=3):
        known = {f: v for (f, v), k in zip(SOMEBODY.model_dump().items(), kept, strict=True) if k}
        answer = fuser_of(name).prior(PatientMetadata(**known))
        assert isinstance(answer, LeafProbabilities)
        assert answer.classes == clinic.cells.ids
        assert answer.values.min() > 0


@pytest.mark.parametrize("name", [*WITH_METADATA, "pool"])
def test_of_nobody_it_is_near_the_share_of_each_first_level_group(name, fuser_of, clinic, cases):
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    share = np.mean([c.truth.startswith("malignant") for c in cases])
    assert fuser_of(name).prior(NOBODY).values[malignant].sum() == pytest.approx(share, abs=0.15)


@pytest.mark.parametrize("name", WITH_METADATA)
def test_an_old_patient_is_more_often_malignant_here(name, fuser_of, clinic):
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    old, young = (
        fuser_of(name).prior(PatientMetadata(age_years=a)).values[malignant].sum() for a in (80, 25)
    )
    assert old > young + 0.2


def test_a_pool_and_a_lone_fuser_of_images_know_no_patient(fuser_of, clinic):
    assert fuser_of("pool").prior(SOMEBODY) == fuser_of("pool").prior(NOBODY)
    assert fuser_of("image_only").prior(SOMEBODY) is None


def test_the_prior_of_bayes_goes_through_temperature_and_mixture(fuser_of, clinic):
    fuser = fuser_of("bayes")
    logits = fuser.scorer.target + fuser.scorer.metadata_weight * fuser.scorer.tables.log(SOMEBODY)
    balanced = np.exp(logits / fuser.contract.temperature)
    expected = fuser.contract.mixture.apply(balanced / balanced.sum())
    np.testing.assert_allclose(fuser.prior(SOMEBODY).values, expected / expected.sum(), atol=1e-12)


def test_a_field_outside_the_fit_does_not_move_it(specs, clinic, bundle_of):
    fuser = specs["bayes"].load(clinic.cells, bundle_of("bayes", fields=["sex"]))
    assert fuser.prior(SOMEBODY) == fuser.prior(PatientMetadata(sex="female"))


def test_a_stack_mixes_the_priors_of_the_bases_that_have_one(specs, clinic, bundle_of, fuser_of):
    manifest = bundle_of("stack").manifest
    base, weights = manifest["bases"], manifest["weights"]
    whole = sum(weights[n] * fuser_of(n).prior(SOMEBODY).values for n in base)
    np.testing.assert_allclose(fuser_of("stack").prior(SOMEBODY).values, whole / whole.sum(), atol=1e-12)
    assert len(base) > 1
    name = next(n for n in base if n != "pool")
    few = {name: base[name]}
    half = bundle_of("stack", weights={"image_only": 0.5, name: 0.5}, bases=few)
    found = specs["stack"].load(clinic.cells, half).prior(SOMEBODY)
    np.testing.assert_allclose(found.values, fuser_of(name).prior(SOMEBODY).values, atol=1e-12)
    alone = bundle_of("stack", weights={"image_only": 1.0}, bases={})
    stack = specs["stack"].load(clinic.cells, alone)
    assert stack.prior(SOMEBODY) is None
    assert stack.used(SOMEBODY) == ()
