"""Do rare groups count, and is the first level still answered as lesions come?"""

from __future__ import annotations

import numpy as np
import pytest

from core.case import PatientMetadata
from fusion.balance import Mixture, case_weights, log_shares
from plugins.specs import FusionCase


def _case(clinic, lesion: str, truth: str, patient: PatientMetadata, cohort: str = "c") -> FusionCase:
    evidence = tuple(clinic.evidence(m, np.arange(1.0, 10.0)) for m in ("clinical", "dermoscopy"))
    return FusionCase(lesion, cohort, 0, evidence, patient, truth)


def test_a_group_of_n_lesions_weighs_the_root_of_n(clinic):
    truths = ["benign:nevus:blue"] * 30 + ["benign:nevus~"] * 6 + ["malignant:carcinoma"] * 4
    cases = [_case(clinic, f"L{i}", t, PatientMetadata()) for i, t in enumerate(truths)]
    weights = case_weights(cases, clinic.cells, 0.5)
    assert weights.sum() == pytest.approx(40)
    assert weights[:36].sum() / weights[36:].sum() == pytest.approx(3)  # sqrt(36) / sqrt(4)
    np.testing.assert_allclose(weights[:36], weights[0])


def test_power_one_weighs_all_alike_and_power_zero_all_groups(clinic):
    truths = ["benign:nevus:blue"] * 9 + ["malignant:carcinoma"]
    cases = [_case(clinic, f"L{i}", t, PatientMetadata()) for i, t in enumerate(truths)]
    np.testing.assert_allclose(case_weights(cases, clinic.cells, 1.0), 1)
    assert case_weights(cases, clinic.cells, 0.0)[-1] == pytest.approx(5)


def test_a_lesion_of_two_cohorts_weighs_once(clinic):
    cases = [
        _case(clinic, "A", "benign:vessel", PatientMetadata(), "one"),
        _case(clinic, "A", "benign:vessel", PatientMetadata(), "two"),
        _case(clinic, "B", "benign:vessel", PatientMetadata(), "one"),
    ]
    weights = case_weights(cases, clinic.cells, 0.5)
    assert weights[0] + weights[1] == pytest.approx(weights[2])


def test_shares_are_never_zero_and_sum_to_one(clinic):
    cases = [_case(clinic, f"L{i}", "benign:vessel", PatientMetadata()) for i in range(50)]
    shares = np.exp(log_shares(cases, clinic.cells, 1.0))
    assert shares.sum() == pytest.approx(1)
    assert (shares > 0).all()
    assert shares[clinic.cells.ids.index("benign:vessel")] > 0.9


def test_no_shift_changes_nothing(clinic):
    values = np.arange(1.0, 10.0) / 45
    found = Mixture(clinic.cells, np.zeros(9)).apply(values)
    np.testing.assert_allclose(found / found.sum(), values)


def test_the_first_level_is_natural_and_what_lies_below_it_balanced(clinic):
    rng = np.random.default_rng(0)
    shift = rng.normal(size=9)
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    for _ in range(20):
        balanced = rng.dirichlet(np.ones(9) / 2)
        found = Mixture(clinic.cells, shift).apply(balanced)
        found /= found.sum()
        natural = balanced * np.exp(shift)
        natural /= natural.sum()
        assert found[malignant].sum() == pytest.approx(natural[malignant].sum())
        for side in (malignant, ~malignant):
            np.testing.assert_allclose(found[side] / found[side].sum(), balanced[side] / balanced[side].sum())


def test_a_first_level_of_probability_zero_stays_zero(clinic):
    malignant = np.array([i.startswith("malignant") for i in clinic.cells.ids])
    found = Mixture(clinic.cells, np.linspace(-3, 3, 9)).apply(np.where(malignant, 0.0, 1 / 6))
    assert np.isfinite(found).all()
    assert found[malignant].sum() == 0
