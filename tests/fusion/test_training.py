"""Is nothing fitted that could not be honest, and does a fit depend on its cases alone?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from core.case import PatientMetadata
from core.errors import ContractError, TrainingError
from core.manifest import Bundle
from core.partition import partition_tree
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from fusion.calibration import fit_temperature, loss
from fusion.training import check_cases, fit_fuser, prepare

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
QUICK = ("bayes", "boosted", "boosted_monotone", "joint_concat", "logistic", "pool")
"""All but those that only repeat what these do: the other net, and the stack of them."""


def test_no_cases_are_refused(clinic, specs):
    with pytest.raises(TrainingError, match="no cases"):
        fit_fuser(specs["bayes"], [], clinic.cells, 0)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_lesion_in_two_folds_is_refused(name, clinic, specs, cases):
    crossed = [*cases, replace(cases[0], fold=1, cohort="third")]
    with pytest.raises(TrainingError, match="lesion L0 lies in folds 0 and 1"):
        specs[name].fit(crossed, clinic.cells, 0)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_missing_fold_is_refused(lost, clinic, cases):
    with pytest.raises(TrainingError, match=f"fold {lost} has no lesion"):
        check_cases([c for c in cases if c.fold != lost], clinic.cells)


def test_one_fold_alone_is_refused(clinic, cases):
    with pytest.raises(TrainingError, match="fold 1 has no lesion"):
        check_cases([c for c in cases if c.fold == 0], clinic.cells)


def test_a_negative_fold_is_refused(clinic, cases):
    with pytest.raises(TrainingError, match="fold -1"):
        check_cases([*cases, replace(cases[0], lesion="X", fold=-1)], clinic.cells)


def test_a_lesion_twice_in_one_cohort_is_refused(clinic, cases):
    with pytest.raises(TrainingError, match="twice"):
        check_cases([*cases, cases[0]], clinic.cells)


def test_one_class_alone_is_refused(clinic, cases):
    with pytest.raises(TrainingError, match="two classes"):
        check_cases([replace(c, truth="benign:vessel") for c in cases], clinic.cells)


def test_a_truth_outside_the_partition_is_refused(clinic, cases):
    with pytest.raises(TrainingError, match="no training class"):
        check_cases([*cases, replace(cases[0], lesion="X", truth="benign")], clinic.cells)


def test_a_case_without_evidence_is_refused(clinic, cases):
    with pytest.raises(ContractError, match="no evidence"):
        check_cases([*cases, replace(cases[0], lesion="X", evidence=())], clinic.cells)


def test_image_only_cannot_be_fitted(clinic, specs, cases):
    with pytest.raises(TrainingError, match="learns nothing"):
        fit_fuser(specs["image_only"], cases, clinic.cells, 0)


@pytest.mark.parametrize("name", [*QUICK, "stack"])
def test_the_order_of_cases_changes_no_byte_of_a_fit(name, clinic, specs):
    cases = clinic.cases(120, 7)
    first, second = (fit_fuser(specs[name], given, clinic.cells, 3) for given in (cases, cases[::-1]))
    assert first == second


@pytest.mark.parametrize("name", [name for name in LEARNERS if name != "pool"])
def test_a_field_that_no_lesion_knows_is_never_used(name, clinic, specs):
    cases = [replace(c, patient=c.patient.model_copy(update={"sex": None})) for c in clinic.cases(120, 7)]
    manifest, files = fit_fuser(specs[name], cases, clinic.cells, 0)
    assert manifest["fields"] == ["age_years", "site"]
    fuser = specs[name].load(clinic.cells, Bundle(manifest, files, "d"))
    assert fuser.used(PatientMetadata(sex="male", age_years=5)) == ("age_years",)
    evidence = cases[0].evidence
    assert fuser.fuse(evidence[:1], PatientMetadata(sex="male")) is evidence[0].probabilities
    with_it, without = (fuser.fuse(evidence, PatientMetadata(sex=s, age_years=50)) for s in ("male", None))
    assert with_it == without


@pytest.mark.parametrize("name", QUICK)
def test_fusers_fit_without_any_metadata_and_with_one_modality(name, clinic, specs):
    cases = [
        replace(c, evidence=c.evidence[-1:], patient=PatientMetadata(age_years=40 + i % 3))
        for i, c in enumerate(clinic.cases(90, 9))
    ]
    for bare in (cases, [replace(c, patient=PatientMetadata()) for c in clinic.cases(90, 9)]):
        manifest, files = fit_fuser(specs[name], bare, clinic.cells, 0)
        fuser = specs[name].load(clinic.cells, Bundle(manifest, files, "d"))
        assert np.isfinite(fuser.fuse(bare[0].evidence, bare[0].patient).values).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_cases_from_which_nothing_can_be_learned_are_refused(name, clinic, specs):
    """One image without metadata is passed through, whatever a fit would say."""
    bare = [replace(c, evidence=c.evidence[:1], patient=PatientMetadata()) for c in clinic.cases(30, 9)]
    with pytest.raises(TrainingError, match="two modalities or any metadata"):
        specs[name].fit(bare, clinic.cells, 0)


def test_boosted_monotone_refuses_classes_of_one_first_level_node(clinic, specs, cases):
    nodes = {"benign:nevus": 9, "benign:keratosis": 9}
    cells = partition_tree(clinic.cells.taxonomy, nodes, max_size=9)
    flat = LeafProbabilities.from_weights(cells.ids, np.ones(len(cells.ids)))
    evidence = tuple(Evidence(m, flat, flat, 1) for m in ("clinical", "dermoscopy"))
    few = [
        replace(c, evidence=evidence, truth=cells.ids[i % len(cells.ids)]) for i, c in enumerate(cases[:40])
    ]
    with pytest.raises(TrainingError, match="one node"):
        specs["boosted_monotone"].fit(few, cells, 0)


@pytest.mark.parametrize("name", QUICK)
def test_a_class_absent_from_the_fit_keeps_probability(name, clinic, specs):
    cases = [c for c in clinic.cases(200, 11) if c.truth != "benign:vessel"]
    manifest, files = fit_fuser(specs[name], cases, clinic.cells, 0)
    fuser = specs[name].load(clinic.cells, Bundle(manifest, files, "d"))
    seen = np.where([i == "benign:vessel" for i in clinic.cells.ids], 1.0, 0.02)
    evidence = [clinic.evidence(m, seen) for m in ("clinical", "dermoscopy")]
    answers = [fuser.fuse(c.evidence, c.patient)["benign:vessel"] for c in cases]
    assert min(answers) > 0
    assert fuser.fuse(evidence, PatientMetadata(age_years=40))["benign:vessel"] > 0.05


def test_targets_are_balanced_shares_and_never_zero(clinic, cases):
    data = prepare([c for c in cases if c.truth != "benign:vessel"], clinic.cells, 0)
    target = np.exp(data.target())
    assert target.sum() == pytest.approx(1)
    assert 0 < target[clinic.cells.ids.index("benign:vessel")] < 0.01


def test_the_temperature_undoes_what_was_sharpened():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 6)) * 2
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = np.array([rng.choice(6, p=row) for row in p])
    weights = np.ones(len(truth))
    assert fit_temperature(logits, truth, weights) == pytest.approx(1, abs=0.06)
    assert fit_temperature(3 * logits, truth, weights) == pytest.approx(3, abs=0.2)
    assert loss(logits, truth, weights) < loss(3 * logits, truth, weights)
