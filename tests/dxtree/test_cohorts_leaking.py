"""Are columns that give the diagnosis away refused by name, and does a report say what misleads?"""

from __future__ import annotations

import pytest

from core.case import PatientMetadata
from core.errors import LeakageError
from dxtree.cohorts import ADAPTERS, LEAKS, TRAPS, leaks, refuse_leaking, traps
from dxtree.cohorts.flat import FlatSet


@pytest.mark.parametrize(
    "name",
    [
        "diagnosis_confirm_type", "diagnosis_3", "milk_class", "biopsed", "dx_type", "benign_malignant",
        "management", "sex_missing", "missing_gender", "Diagnosis_1", "lesion_id", "mel_thick_mm", "url",
    ],
)  # fmt: skip
def test_a_column_that_leaks_is_refused_by_name_with_the_reason(name: str) -> None:
    with pytest.raises(LeakageError) as caught:
        refuse_leaking(["age_years", name])
    assert f"{name}: " in caught.value.safe_message
    assert "age_years" not in caught.value.safe_message


def test_the_three_fields_of_a_patient_leak_nothing() -> None:
    refuse_leaking(PatientMetadata.model_fields)
    refuse_leaking(
        ["region", "gender", "anatom_site_general", "fitspatrick", "diameter_1", "itch", "elevation"]
    )


def test_a_leak_of_one_set_is_none_of_another() -> None:
    assert set(leaks(["management", "biopsed"], "derm7pt")) == {"management", "biopsed"}
    assert set(leaks(["management", "biopsed"], "scin")) == {"biopsed"}


def test_no_column_of_a_patient_or_a_group_is_one_that_leaks() -> None:
    for adapter in ADAPTERS.values():
        flat = getattr(adapter.survey, "__self__", None)
        if isinstance(flat, FlatSet):
            assert leaks(flat.patient.names, flat.name) == {}
            assert flat.label in leaks([flat.label], flat.name)


def test_leaks_and_traps_name_sets_that_exist() -> None:
    assert {leak.cohort for leak in LEAKS if leak.cohort} <= set(ADAPTERS)
    assert set(TRAPS) <= set(ADAPTERS)
    assert all(leak.why and leak.column for leak in LEAKS)


def test_a_report_gets_one_sentence_for_each_trap() -> None:
    said = traps(["pad_ufes_20", "of_nobody"])
    assert any(line.startswith("pad_ufes_20, sex: a missing gender tells") for line in said)
    assert len(said) == len(TRAPS["pad_ufes_20"])
