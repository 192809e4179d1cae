"""Does each lesion enter a fit with all it has and with less, at the weight it should have?"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from core.case import PatientMetadata
from core.errors import TrainingError
from fusion.balance import case_weights
from fusion.rows import rows_of
from plugins.specs import FusionCase


def _case(clinic, lesion: str, truth: str, patient: PatientMetadata, cohort: str = "c") -> FusionCase:
    evidence = tuple(clinic.evidence(m, np.arange(1.0, 10.0)) for m in ("clinical", "dermoscopy"))
    return FusionCase(lesion, cohort, 0, evidence, patient, truth)


def test_rows_carry_the_whole_weight_half_of_it_with_everything(clinic, cases):
    rows = rows_of(cases, clinic.cells, 0, 0.5)
    by_case = defaultdict(list)
    for row in rows:
        by_case[row.patient, row.truth, row.fold].append(row)
    first = next(c for c in cases if len(c.evidence) == 2 and len(c.patient.known()) == 3)
    whole = [r for r in rows if r.evidence == first.evidence and r.patient == first.patient]
    weight = dict(zip((c.lesion for c in cases), case_weights(cases, clinic.cells, 0.5), strict=True))
    assert sum(r.weight for r in whole) >= weight[first.lesion] / 2 - 1e-12


def test_every_subset_of_inputs_is_seen(clinic):
    patient = PatientMetadata(age_years=50, sex="male", site="back")
    cases = [_case(clinic, f"L{i}", "benign:vessel", patient) for i in range(400)]
    seen = {
        (tuple(e.modality for e in r.evidence), r.patient.known())
        for r in rows_of(cases, clinic.cells, 0, 0.5)
    }
    assert len(seen) == 3 * 8 - 2  # all but one modality alone, which passes through


def test_half_of_the_fine_sites_are_learned_coarsely(clinic):
    patient = PatientMetadata(site="back")
    cases = [_case(clinic, f"L{i}", "benign:vessel", patient) for i in range(50)]
    assert {r.patient.site for r in rows_of(cases, clinic.cells, 0, 0.5)} == {"back", "trunk", None}


def test_what_is_dropped_depends_on_seed_and_lesion_alone(clinic, cases):
    def seen(given, seed):
        rows = rows_of(given, clinic.cells, seed, 0.5)
        return sorted(str((r.patient, [e.modality for e in r.evidence], r.truth, r.fold)) for r in rows)

    assert seen(cases, 0) == seen(cases[::-1], 0)
    assert seen(cases, 0) != seen(cases, 1)


def test_nothing_is_ever_invented(clinic, cases):
    possible = {c.patient.age_years for c in cases} | {None}
    assert {r.patient.age_years for r in rows_of(cases, clinic.cells, 0, 0.5)} <= possible


def test_a_foreign_class_is_refused(clinic):
    with pytest.raises(TrainingError, match="no training class"):
        rows_of([_case(clinic, "A", "benign", PatientMetadata())], clinic.cells, 0, 0.5)
