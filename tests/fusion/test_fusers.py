"""Does every fuser keep the promises of `core.protocols.Fuser`, whatever subset of inputs it gets?"""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata, body_sites
from core.errors import ContractError, NonFiniteOutput
from core.probabilities import LeafProbabilities
from core.protocols import Fuser
from fusion.balance import Mixture
from fusion.fitted import Contract, FittedFuser

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
FUSERS = (*LEARNERS, "image_only")
WITH_METADATA = tuple(name for name in LEARNERS if name != "pool")
NOBODY = PatientMetadata()
SOMEBODY = PatientMetadata(age_years=62, sex="female", site="back")

weights = st.lists(st.floats(0, 1), min_size=9, max_size=9).filter(lambda v: sum(v) > 1e-3)
patients = st.builds(
    PatientMetadata,
    age_years=st.none() | st.floats(0, 120),
    sex=st.sampled_from([None, "female", "male"]),
    site=st.sampled_from([None, *body_sites().ids[1:]]),
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", FUSERS)
def test_a_fuser_satisfies_the_protocol_and_bears_its_name(name, fuser_of):
    fuser = fuser_of(name)
    assert isinstance(fuser, Fuser)
    assert fuser.name == name
    assert all(isinstance(v, str) for v in fuser.provenance.values())


@pytest.mark.parametrize("name", FUSERS)
def test_every_subset_of_modalities_and_metadata_is_answered(name, fuser_of, clinic, cases):
    both = next(c.evidence for c in cases if len(c.evidence) == 2)
    fields = SOMEBODY.model_dump()
    for size in (1, 2):
        for evidence in itertools.combinations(both, size):
            for kept in itertools.product([True, False], repeat=3):
                known = {f: v for (f, v), k in zip(fields.items(), kept, strict=True) if k}
                answer = fuser_of(name).fuse(evidence, PatientMetadata(**known))
                assert answer.classes == clinic.cells.ids
                assert abs(answer.values.sum() - 1) < 1e-9
                assert np.isfinite(answer.values).all()


@pytest.mark.parametrize("name", FUSERS)
@quick
@given(first=weights, second=weights, prior=weights, patient=patients)
def test_any_evidence_and_any_patient_give_a_distribution(
    name, fuser_of, clinic, first, second, prior, patient
):
    evidence = [clinic.evidence("clinical", first, prior), clinic.evidence("dermoscopy", second)]
    for given_evidence in (evidence, evidence[:1]):
        answer = fuser_of(name).fuse(given_evidence, patient)
        assert isinstance(answer, LeafProbabilities)
        assert abs(answer.values.sum() - 1) < 1e-9


@pytest.mark.parametrize("name", FUSERS)
def test_one_modality_without_metadata_is_image_only_to_the_bit(name, fuser_of, cases):
    for case in cases[:50]:
        for one in case.evidence:
            assert fuser_of(name).fuse([one], NOBODY) is one.probabilities


@pytest.mark.parametrize("name", FUSERS)
@quick
@given(first=weights, second=weights, patient=patients)
def test_order_of_evidence_never_changes_a_bit(name, fuser_of, clinic, first, second, patient):
    evidence = [clinic.evidence("clinical", first), clinic.evidence("dermoscopy", second)]
    fuse = fuser_of(name).fuse
    assert fuse(evidence, patient).values.tobytes() == fuse(evidence[::-1], patient).values.tobytes()


@pytest.mark.parametrize("name", ["bayes", "image_only", "pool"])
def test_order_of_three_modalities_never_changes_a_bit(name, fuser_of, clinic):
    rng = np.random.default_rng(3)
    for _ in range(30):
        three = [clinic.evidence(m, rng.dirichlet(np.ones(9) / 3)) for m in ("clinical", "dermoscopy", "oct")]
        answers = {
            fuser_of(name).fuse(order, SOMEBODY).values.tobytes() for order in itertools.permutations(three)
        }
        assert len(answers) == 1


@pytest.mark.parametrize("name", FUSERS)
def test_a_modality_that_stands_twice_is_refused_by_name(name, fuser_of, clinic):
    twice = [clinic.evidence("clinical", np.arange(9)), clinic.evidence("clinical", np.ones(9))]
    with pytest.raises(ContractError, match="'clinical' gives evidence twice"):
        fuser_of(name).fuse(twice, NOBODY)


@pytest.mark.parametrize("name", FUSERS)
def test_no_evidence_is_refused(name, fuser_of):
    with pytest.raises(ContractError, match="no evidence"):
        fuser_of(name).fuse([], SOMEBODY)


@pytest.mark.parametrize("name", FUSERS)
@pytest.mark.parametrize("what", ["probabilities", "prior"])
def test_evidence_over_other_classes_is_refused(name, what, fuser_of, clinic):
    fine = clinic.evidence("clinical", np.ones(9))
    other = LeafProbabilities.from_weights(clinic.cells.ids[::-1], np.ones(9))
    for wrong in (other, None):
        with pytest.raises(ContractError, match=f"the {what} of modality 'clinical'"):
            fuser_of(name).fuse([replace(fine, **{what: wrong})], NOBODY)


@pytest.mark.parametrize(
    "name", ["boosted", "boosted_monotone", "joint_concat", "joint_metablock", "logistic", "stack"]
)
def test_a_modality_outside_the_fit_is_refused_with_the_remedy(name, fuser_of, clinic):
    with pytest.raises(ContractError, match=r"'oct'.*fit-fusion"):
        fuser_of(name).fuse([clinic.evidence("oct", np.arange(9))], SOMEBODY)


def test_bayes_gives_a_modality_outside_the_fit_weight_one(fuser_of, clinic):
    values = np.arange(1.0, 10.0)
    scorer = fuser_of("bayes").scorer
    plain = scorer.logits([], NOBODY)
    with_it = scorer.logits([clinic.evidence("oct", values)], NOBODY)
    ratio = np.log((values / values.sum() + 1e-3) / (1 / 9 + 1e-3))
    np.testing.assert_allclose(with_it - plain, ratio, atol=1e-12)


@pytest.mark.parametrize("name", WITH_METADATA)
def test_used_names_the_known_fields_alone(name, fuser_of):
    assert fuser_of(name).used(NOBODY) == ()
    assert fuser_of(name).used(PatientMetadata(sex="male")) == ("sex",)
    assert fuser_of(name).used(SOMEBODY) == ("age_years", "sex", "site")


@pytest.mark.parametrize("name", ["image_only", "pool"])
def test_fusers_of_images_alone_use_no_metadata(name, fuser_of, cases):
    fuser = fuser_of(name)
    assert fuser.used(SOMEBODY) == ()
    for case in cases[:20]:
        assert fuser.fuse(case.evidence, SOMEBODY) == fuser.fuse(case.evidence, NOBODY)
        assert fuser.fuse(case.evidence[:1], SOMEBODY) is case.evidence[0].probabilities


@pytest.mark.parametrize("name", WITH_METADATA)
def test_missing_age_is_not_age_zero_and_not_the_mean_age(name, fuser_of, cases):
    evidence = cases[0].evidence
    ages = [c.patient.age_years for c in cases if c.patient.age_years is not None]
    missing = fuser_of(name).fuse(evidence, PatientMetadata(sex="male"))
    for age in (0.0, float(np.mean(ages)), 120.0):
        known = fuser_of(name).fuse(evidence, PatientMetadata(sex="male", age_years=age))
        assert np.abs(known.values - missing.values).max() > 1e-6


@pytest.mark.parametrize("name", WITH_METADATA)
def test_every_known_field_changes_the_answer(name, fuser_of, cases):
    evidence = cases[0].evidence
    base = fuser_of(name).fuse(evidence, NOBODY if len(evidence) > 1 else PatientMetadata(sex="male"))
    for known in ({"age_years": 80.0}, {"sex": "female"}, {"site": "face"}):
        answer = fuser_of(name).fuse(evidence, PatientMetadata(**known))
        assert np.abs(answer.values - base.values).max() > 1e-6


@pytest.mark.parametrize("name", LEARNERS)
def test_answers_of_eight_threads_are_those_of_one(name, fuser_of, cases):
    fuser = fuser_of(name)
    alone = [fuser.fuse(c.evidence, c.patient).values.tobytes() for c in cases[:40]]
    found: dict[int, list[bytes]] = {}

    def work(k: int) -> None:
        found[k] = [fuser.fuse(c.evidence, c.patient).values.tobytes() for c in cases[:40]]

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[k] == alone for k in range(8))


def test_a_scorer_is_told_only_what_the_fuser_was_fitted_for(clinic):
    """Whatever a scorer of another kind does with a patient, a field outside the fit never reaches it."""
    told = []

    class Spy:
        def logits(self, evidence, patient):
            told.append((tuple(e.modality for e in evidence), patient))
            return np.zeros(9)

    contract = Contract("spy", ("clinical", "dermoscopy"), ("sex",), 1.0, Mixture(clinic.cells, np.zeros(9)))
    evidence = [clinic.evidence(m, np.ones(9)) for m in ("dermoscopy", "clinical")]
    FittedFuser(clinic.cells, contract, Spy(), {}).fuse(evidence, SOMEBODY)
    assert told == [(("clinical", "dermoscopy"), PatientMetadata(sex="female"))]


def test_a_scorer_that_fails_gives_an_error_and_no_answer(clinic):
    class Broken:
        def logits(self, evidence, patient):
            return np.full(9, np.nan)

    contract = Contract("broken", ("clinical",), ("sex",), 1.0, Mixture(clinic.cells, np.zeros(9)))
    with pytest.raises(NonFiniteOutput):
        FittedFuser(clinic.cells, contract, Broken(), {}).fuse(
            [clinic.evidence("clinical", np.ones(9))], SOMEBODY
        )
