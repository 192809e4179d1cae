"""Can evidence for a class ever count against it, where the fuser says that it cannot?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.manifest import Bundle
from fusion.boosted_monotone import FirstLevel
from fusion.features import Features

PATIENTS = [
    PatientMetadata(),
    PatientMetadata(age_years=80, sex="male", site="face"),
    PatientMetadata(age_years=20),
]
ratios = st.lists(st.floats(-4, 4), min_size=9, max_size=9)
quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _probabilities(scorer, ratios, patient):
    logits = scorer.from_ratios(ratios, patient)
    weights = np.exp(logits - logits.max())
    return weights / weights.sum()


@quick
@given(
    clinical=st.none() | ratios,
    dermoscopy=ratios,
    at=st.integers(0, 8),
    more=st.floats(0, 6),
    patient=st.sampled_from(PATIENTS),
)
def test_a_higher_ratio_lowers_neither_its_class_nor_its_first_level_node(
    fuser_of, clinic, clinical, dermoscopy, at, more, patient
):
    scorer, level = fuser_of("boosted_monotone").scorer, FirstLevel(clinic.cells)
    given_ratios = {"dermoscopy": np.array(dermoscopy)}
    if clinical is not None:
        given_ratios["clinical"] = np.array(clinical)
    for modality in given_ratios:
        raised = {m: r + more * (m == modality) * np.eye(9)[at] for m, r in given_ratios.items()}
        before, after = (_probabilities(scorer, r, patient) for r in (given_ratios, raised))
        assert after[at] >= before[at] - 1e-12
        node = level.member[:, at].argmax()
        inside = level.member[node]
        assert after[inside].sum() >= before[inside].sum() - 1e-12
        others = np.arange(9) != at
        assert (np.log(after[at] / after[others]) >= np.log(before[at] / before[others]) - 1e-9).all()


def test_where_one_ratio_rises_no_other_entry_moves(fuser_of):
    """Centred ratios would: then the other classes of the node fall, and the constraints hold nothing."""
    features, flat = fuser_of("boosted_monotone").scorer.features, np.zeros(9)
    before, after = (features.from_ratios({"clinical": r}, PATIENTS[1]) for r in (flat, flat + np.eye(9)[4]))
    moved = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    assert [features.names[i] for i in np.flatnonzero(moved)] == [f"clinical: {features.partition.ids[4]}"]


def test_trees_without_constraints_do_turn_evidence_round(fuser_of, clinic, cases):
    """The property above is none that every fuser has: it would not notice if the constraints were lost."""
    fuser, rng = fuser_of("boosted"), np.random.default_rng(0)
    falls = 0
    for case in cases[:60]:
        found = fuser.scorer.base.ratios.log(case.evidence[-1])
        features = fuser.scorer.features
        for at in range(9):
            pair = (found, found + rng.uniform(0, 0.4) * np.eye(9)[at])
            rows = [features.from_ratios({"dermoscopy": r}, case.patient)[None, :] for r in pair]
            margins = [fuser.scorer.added(row)[at] for row in rows]
            falls += margins[1] < margins[0] - 1e-6
    assert falls > 0


def test_constraints_name_the_ratios_of_the_node_and_nothing_of_the_patient(clinic):
    features = Features(clinic.cells, ("clinical", "dermoscopy"), ("age_years", "sex"), np.nan, centred=False)
    level = FirstLevel(clinic.cells)
    assert level.nodes == ("benign", "malignant")
    for k, node in enumerate(level.nodes):
        signs = dict(zip(features.names, level.constraints(features, k), strict=True))
        for name, sign in signs.items():
            part = name.split(": ", 1)[1]
            wanted = (1 if part.startswith(node) else -1) if part in clinic.cells.ids else 0
            assert sign == wanted


def test_the_first_level_is_the_normalised_sigmoids_and_what_lies_below_stays(clinic):
    rng, level = np.random.default_rng(1), FirstLevel(clinic.cells)
    logits, margins = rng.normal(size=(5, 9)), rng.normal(size=(5, 2))
    found = np.exp(level.answer(logits, margins))
    expected = 1 / (1 + np.exp(-margins))
    for k, inside in enumerate(level.member):
        np.testing.assert_allclose(found[:, inside].sum(axis=1), expected[:, k])
        before = np.exp(logits[:, inside])
        np.testing.assert_allclose(
            found[:, inside] / found[:, inside].sum(axis=1, keepdims=True),
            before / before.sum(axis=1, keepdims=True),
        )
    own = level.answer(logits, level.margins(logits))
    np.testing.assert_allclose(np.exp(own), np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))


def test_trees_that_read_other_rows_are_refused(specs, clinic, bundle_of):
    from core.errors import ContractError

    other, bundle = bundle_of("boosted_monotone", fields=["sex"]), bundle_of("boosted_monotone")
    few = Features(clinic.cells, ("clinical", "dermoscopy"), ("sex",)).names
    wrong = Bundle({**other.manifest, "entries": list(few)}, bundle.files, "d")
    with pytest.raises(ContractError, match="entries"):
        specs["boosted_monotone"].load(clinic.cells, wrong)
