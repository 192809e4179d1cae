"""Is every entry of the vector named, and is missing a value of its own?"""

from __future__ import annotations

import numpy as np
import pytest

from core.case import PatientMetadata, body_sites
from fusion.features import Features, site_nodes, site_path

FIELDS = ("age_years", "sex", "site")
MODALITIES = ("clinical", "dermoscopy")


@pytest.fixture
def named(clinic):
    def of(evidence, patient, absent=0.0):
        features = Features(clinic.cells, MODALITIES, FIELDS, absent)
        vector = features.vector(evidence, patient)
        assert len(vector) == len(features.names) == len(set(features.names))
        return dict(zip(features.names, vector.tolist(), strict=True))

    return of


def test_log_ratios_are_centred_and_stand_under_the_name_of_their_class(named, clinic):
    found = named([clinic.evidence("clinical", np.arange(1.0, 10.0))], PatientMetadata())
    ratios = [found[f"clinical: {name}"] for name in clinic.cells.ids]
    assert sum(ratios) == pytest.approx(0, abs=1e-12)
    assert ratios == sorted(ratios)
    assert found["clinical: present"] == 1


def test_an_absent_modality_is_absent_and_says_so(named, clinic):
    evidence = [clinic.evidence("clinical", np.arange(1.0, 10.0))]
    for absent in (0.0, np.nan):
        found = named(evidence, PatientMetadata(), absent)
        gone = [found[f"dermoscopy: {name}"] for name in clinic.cells.ids]
        np.testing.assert_array_equal(gone, absent)
        assert found["dermoscopy: present"] == 0


def test_unknown_fields_are_absent_and_say_so(named, clinic):
    found = named([clinic.evidence("clinical", np.ones(9))], PatientMetadata(sex="male"), np.nan)
    assert (found["sex: male"], found["sex: female"], found["sex: known"]) == (1, 0, 1)
    assert found["age_years: known"] == found["site: known"] == 0
    assert np.isnan(found["age_years: scaled"])
    assert np.isnan(found["site: trunk"])


def test_age_zero_is_known(named, clinic):
    evidence = [clinic.evidence("clinical", np.ones(9))]
    zero, missing = (named(evidence, PatientMetadata(age_years=a)) for a in (0, None))
    assert zero["age_years: known"] == 1
    assert missing["age_years: known"] == 0
    assert zero["age_years: near 20"] == 1
    assert missing["age_years: near 20"] == 0


def test_the_hats_of_age_sum_to_one(named, clinic):
    evidence = [clinic.evidence("clinical", np.ones(9))]
    for age in (0, 20, 33.3, 50, 79, 120):
        found = named(evidence, PatientMetadata(age_years=age))
        assert sum(v for n, v in found.items() if n.startswith("age_years: near")) == pytest.approx(1)


def test_a_site_is_every_node_on_its_way_to_the_second_level(named, clinic):
    found = named([clinic.evidence("clinical", np.ones(9))], PatientMetadata(site="nose"))
    on = {n for n, v in found.items() if n.startswith("site: ") and v}
    assert on == {"site: head_neck", "site: face", "site: known"}


def test_every_site_of_the_vocabulary_has_a_path():
    for site in body_sites().ids[1:]:
        assert 1 <= len(site_path(site)) <= 2
        assert set(site_path(site)) <= set(site_nodes())


def test_a_field_outside_the_fit_has_no_entry(clinic):
    features = Features(clinic.cells, MODALITIES, ("sex",))
    assert not [n for n in features.names if n.startswith(("age", "site"))]
