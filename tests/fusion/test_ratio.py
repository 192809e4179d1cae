"""Does a class that a model was never shown borrow from the tree, and nothing else?"""

from __future__ import annotations

import numpy as np
import pytest

from core.case import PatientMetadata
from core.protocols import Evidence
from fusion.ratio import FLOOR, Ratios

FLAT = np.ones(9) / 9


def _without(cells, *unseen: str) -> np.ndarray:
    prior = np.array([0.0 if i in unseen else 1.0 for i in cells.ids])
    return prior / prior.sum()


def _log(p: float, prior: float) -> float:
    return float(np.log((p + FLOOR) / (prior + FLOOR)))


def test_a_model_that_repeats_its_prior_says_nothing(clinic):
    prior = np.arange(1.0, 10.0)
    np.testing.assert_allclose(Ratios(clinic.cells).log(clinic.evidence("m", prior, prior)), 0, atol=1e-12)


def test_an_unseen_class_borrows_the_ratio_of_its_parent(clinic):
    cells = clinic.cells
    prior = _without(cells, "malignant:melanoma:thin")
    values = np.arange(1.0, 10.0) * (prior > 0)
    found = Ratios(cells).log(clinic.evidence("m", values, prior))
    at = {i: k for k, i in enumerate(cells.ids)}
    sister = values[at["malignant:melanoma:deep"]] / values.sum()
    expected = _log(sister, prior[at["malignant:melanoma:deep"]])
    assert found[at["malignant:melanoma:thin"]] == pytest.approx(expected)


def test_back_off_passes_parents_that_were_not_shown_either(clinic):
    cells = clinic.cells
    melanoma = ("malignant:melanoma:thin", "malignant:melanoma:deep")
    prior = _without(cells, *melanoma)
    values = np.arange(1.0, 10.0) * (prior > 0)
    found = Ratios(cells).log(clinic.evidence("m", values, prior))
    at = {i: k for k, i in enumerate(cells.ids)}
    carcinoma = at["malignant:carcinoma"]
    expected = _log(values[carcinoma] / values.sum(), prior[carcinoma])
    assert found[at[melanoma[0]]] == found[at[melanoma[1]]] == pytest.approx(expected)


def test_an_unseen_residual_borrows_from_its_own_node(clinic):
    cells = clinic.cells
    at = {i: k for k, i in enumerate(cells.ids)}
    prior = _without(cells, "benign:nevus~")
    values = np.arange(1.0, 10.0) * (prior > 0)
    inside = [at["benign:nevus:blue"], at["benign:nevus:plain"]]
    expected = _log(values[inside].sum() / values.sum(), prior[inside].sum())
    found = Ratios(cells).log(clinic.evidence("m", values, prior))
    assert found[at["benign:nevus~"]] == pytest.approx(expected)


def test_where_nothing_above_but_the_root_was_shown_the_ratio_is_one(clinic):
    cells = clinic.cells
    malignant = [i for i in cells.ids if i.startswith("malignant")]
    prior = _without(cells, *malignant)
    found = Ratios(cells).log(clinic.evidence("m", np.arange(1.0, 10.0) * (prior > 0), prior))
    for name in malignant:
        assert found[cells.ids.index(name)] == pytest.approx(0, abs=1e-12)


def test_ratios_are_finite_at_probability_zero(clinic):
    sure = np.eye(9)[4]
    assert np.isfinite(Ratios(clinic.cells).log(clinic.evidence("m", sure, FLAT))).all()


@pytest.mark.parametrize(
    "name", ["bayes", "boosted", "boosted_monotone", "joint_concat", "logistic", "pool", "stack"]
)
def test_an_unseen_class_is_not_annihilated(name, fuser_of, clinic):
    """Clinical was never shown thin melanoma; dermoscopy sees one. The fused answer keeps it on top."""
    cells = clinic.cells
    at = cells.ids.index("malignant:melanoma:thin")
    seen = np.full(9, 0.02)
    seen[at] = 1.0
    prior = _without(cells, cells.ids[at])
    clinical = np.full(9, 0.02) * (prior > 0)
    clinical[cells.ids.index("malignant:melanoma:deep")] = 1.0
    both: list[Evidence] = [
        clinic.evidence("clinical", clinical, prior),
        clinic.evidence("dermoscopy", seen),
    ]
    answer = fuser_of(name).fuse(both, PatientMetadata())
    assert answer.values.argmax() == at
    alone = fuser_of(name).fuse(both[1:], PatientMetadata(sex="female"))
    assert answer[cells.ids[at]] > 0.5 * alone[cells.ids[at]]
