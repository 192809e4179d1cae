"""Do the tables say what was counted, and do small classes borrow from the tree above?"""

from __future__ import annotations

import numpy as np
import pytest

from core.case import PatientMetadata, body_sites
from fusion.metadata import MetadataTables, decade
from plugins.specs import FusionCase


def _cases(truth: str, patients: list[PatientMetadata]) -> list[FusionCase]:
    return [FusionCase(f"{truth}{i}", "c", 0, (), p, truth) for i, p in enumerate(patients)]


def test_nothing_known_says_nothing(clinic, cases):
    tables = MetadataTables.fit(cases, clinic.cells, 20.0)
    np.testing.assert_array_equal(tables.log(PatientMetadata()), 0)


def test_every_known_patient_gets_finite_likelihoods(clinic, cases):
    tables = MetadataTables.fit(cases, clinic.cells, 20.0)
    for site in body_sites().ids[1:]:
        for age in (0, 9.9, 10, 120):
            found = tables.log(PatientMetadata(age_years=age, sex="male", site=site))
            assert np.isfinite(found).all()


def test_with_many_lesions_the_table_is_the_ratio_of_shares(clinic):
    men, women = PatientMetadata(sex="male"), PatientMetadata(sex="female")
    a, b = "malignant:carcinoma", "benign:vessel"
    given = _cases(a, [men] * 900 + [women] * 100) + _cases(b, [men] * 100 + [women] * 900)
    found = MetadataTables.fit(given, clinic.cells, 5.0).log(men)
    at = clinic.cells.ids.index
    assert found[at(a)] == pytest.approx(np.log(0.9 / 0.5), abs=0.02)
    assert found[at(b)] == pytest.approx(np.log(0.1 / 0.5), abs=0.05)


def test_a_class_without_lesions_has_the_shares_of_its_group(clinic):
    men, women = PatientMetadata(sex="male"), PatientMetadata(sex="female")
    given = _cases("malignant:melanoma:deep", [men] * 500) + _cases("benign:vessel", [women] * 500)
    found = MetadataTables.fit(given, clinic.cells, 5.0).log(men)
    at = clinic.cells.ids.index
    assert found[at("malignant:melanoma:thin")] == pytest.approx(np.log(2), abs=0.05)
    assert found[at("malignant:carcinoma")] == pytest.approx(np.log(2), abs=0.05)
    assert found[at("benign:keratosis:flat")] < -1


def test_more_pseudo_counts_draw_a_class_to_its_group(clinic):
    men, women = PatientMetadata(sex="male"), PatientMetadata(sex="female")
    given = _cases("malignant:melanoma:deep", [men] * 5) + _cases("malignant:carcinoma", [women] * 50)
    at = clinic.cells.ids.index("malignant:melanoma:deep")
    weak, strong = (MetadataTables.fit(given, clinic.cells, s).log(men)[at] for s in (1.0, 100.0))
    assert weak > 0 > strong


def test_a_coarse_site_says_nothing_of_finer_ones(clinic):
    """Where one class's sites are written finely and another's are not, the coarse site stays fair."""
    fine, coarse = PatientMetadata(site="back"), PatientMetadata(site="trunk")
    given = _cases("malignant:carcinoma", [fine] * 300) + _cases("benign:vessel", [coarse] * 300)
    tables = MetadataTables.fit(given, clinic.cells, 5.0)
    np.testing.assert_allclose(tables.log(coarse), 0, atol=0.02)
    np.testing.assert_allclose(tables.log(fine), tables.log(PatientMetadata(site="posterior_torso")))


def test_a_missing_field_counts_nowhere(clinic):
    known = PatientMetadata(age_years=50, sex="male", site="back")
    some = _cases("malignant:carcinoma", [known] * 20) + _cases("benign:vessel", [known] * 20)
    more = some + _cases("benign:keratosis:flat", [PatientMetadata()] * 50)
    ours, theirs = (MetadataTables.fit(g, clinic.cells, 5.0).arrays() for g in (some, more))
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@pytest.mark.parametrize(("age", "place"), [(0, 0), (9.99, 0), (10, 1), (89.5, 8), (90, 9), (120, 9)])
def test_ages_fall_into_decades(age, place):
    assert decade(age) == place
