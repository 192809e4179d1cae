"""Is the posterior of the perfect nets exact, so that no fuser beats it and its gain is the one built in?"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import combinations
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.case import FIELDS, PatientMetadata
from core.errors import CohortError
from core.probabilities import TreeProbabilities
from core.taxonomy import IntArray
from core.tree import FloatArray, TreeSums
from dxtree.benchmark.running import fitted
from dxtree.cohorts.synthetic.answers import (
    PerfectAnswers,
    answer_partition,
    answers_of,
    independent_answers,
)
from dxtree.cohorts.synthetic.classes import CLASSES, SITE_TERMS, SyntheticClass
from dxtree.cohorts.synthetic.gain import Metric, gain, gain_built_in, level_members
from dxtree.cohorts.synthetic.lesion import VIEWS, make_lesion
from dxtree.evaluation.calibration import calibration_error
from dxtree.evaluation.proper import squared_error
from dxtree.evaluation.ranking import auc
from fusion.plugin import dxtree_fusers
from fusion.training import check_cases

EVERYTHING = (*VIEWS, *FIELDS)
SUBSETS = [c for size in range(len(EVERYTHING) + 1) for c in combinations(EVERYTHING, size)]
WIDTH = len(CLASSES)
MALIGNANT = np.array([c.path[0] == "Malignant" for c in CLASSES])


@cache
def many() -> PerfectAnswers:
    return independent_answers(30_000, 3)


@cache
def small_samples() -> list[tuple[IntArray, FloatArray, FloatArray]]:
    """Truth, answers with metadata and answers without, of 120 samples of 200 lesions."""
    drawn = [independent_answers(200, seed) for seed in range(120)]
    return [(one.truth, one.oracle(EVERYTHING), one.oracle(VIEWS)) for one in drawn]


# The lesions


def test_there_is_one_training_class_for_each_label_in_the_order_of_the_classes() -> None:
    partition = answer_partition()
    assert [partition.class_of(c.label) for c in CLASSES] == list(partition.ids)
    assert [c.images for c in partition.classes] == [c.weight for c in CLASSES]


@pytest.mark.parametrize("signal", [True, False])
def test_class_and_patient_are_those_of_the_cohort_that_pictures_are_drawn_of(*, signal: bool) -> None:
    drawn = answers_of(60, 4, metadata_signal=signal)
    for k, case in enumerate(drawn.cases(3)):
        made = make_lesion(4, k, views=(), metadata_signal=signal)
        assert case.lesion == made.lesion
        assert case.patient == made.patient == drawn.patient(k)
        assert case.truth == answer_partition().class_of(made.label)


def test_a_lesion_is_the_same_however_many_there_are_and_another_in_another_seed() -> None:
    few, more, other = answers_of(5, 8), answers_of(9, 8), answers_of(5, 9)
    assert np.array_equal(few.vectors, more.vectors[:5])
    assert np.array_equal(few.told, more.told[:5])
    assert not np.isin(few.vectors, other.vectors).any()


@pytest.mark.parametrize(
    "drawn", [answers_of(3000, 1), independent_answers(3000, 1)], ids=["cohort", "sample"]
)
def test_vectors_are_standard_normal_around_the_class(drawn: PerfectAnswers) -> None:
    noise = drawn.vectors - 1.5 * np.eye(WIDTH)[drawn.truth][:, None, :]
    assert abs(noise.mean()) < 4 / math.sqrt(noise.size)
    assert noise.var() == pytest.approx(1, abs=6 / math.sqrt(noise.size))
    pairs = (noise[:, 0] * noise[:, 1]).mean()
    assert abs(pairs) < 4 / math.sqrt(noise.size / 2)


def test_classes_of_a_sample_follow_their_weights_and_are_no_cohorts() -> None:
    drawn = many()
    weights = np.array([c.weight for c in CLASSES])
    expected = len(drawn.truth) * weights / weights.sum()
    assert ((np.bincount(drawn.truth, minlength=WIDTH) - expected) ** 2 / expected).sum() < 45
    assert drawn.name != answers_of(1, 3).name


def test_metadata_without_signal_are_those_of_anybody() -> None:
    drawn = independent_answers(20_000, 5, metadata_signal=False)
    for field in range(len(FIELDS)):
        table = np.zeros((WIDTH, 21))
        np.add.at(table, (drawn.truth, drawn.told[:, field]), 1)
        table = table[:, table.sum(axis=0) > 0]
        expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
        freedom = (table.shape[0] - 1) * (table.shape[1] - 1)
        assert ((table - expected) ** 2 / expected).sum() < freedom + 6 * math.sqrt(2 * freedom)


# The posterior


@pytest.mark.parametrize("inputs", SUBSETS, ids=lambda c: "+".join(c) or "none")
def test_it_is_the_one_that_bayes_rule_gives_in_plain_sums(inputs: tuple[str, ...]) -> None:
    drawn = answers_of(12, 6, sharpness=1.1)
    found = drawn.oracle(inputs)
    for k in range(12):
        weights = [joint(one, c, drawn, k, inputs) for c, one in enumerate(CLASSES)]
        assert found[k] == pytest.approx([w / math.fsum(weights) for w in weights], abs=1e-12, rel=1e-9)


def test_it_is_right_for_every_age_sex_and_site() -> None:
    places = [(age, sex, site) for age in range(-1, 19) for sex in (-1, 0, 1) for site in (-1, 0, 4, 6)]
    blank = answers_of(len(places), 2)
    drawn = replace(blank, told=np.array(places, np.int64))
    found = drawn.oracle(FIELDS)
    for k in range(len(places)):
        weights = [joint(one, c, drawn, k, FIELDS) for c, one in enumerate(CLASSES)]
        assert found[k] == pytest.approx([w / math.fsum(weights) for w in weights], abs=1e-12, rel=1e-9)


@pytest.mark.parametrize("inputs", [VIEWS[:1], VIEWS, FIELDS, EVERYTHING], ids="+".join)
def test_it_is_calibrated(inputs: tuple[str, ...]) -> None:
    drawn = many()
    found = drawn.oracle(inputs)
    right = (found.argmax(axis=1) == drawn.truth).astype(np.bool_)
    error = calibration_error(found.max(axis=1), right)(np.ones((len(found), 1)))
    assert float(error[0]) < 0.015  # by chance .007: 15 bins of 2,000 lesions, each off by .4 / 45


@pytest.mark.parametrize("place", range(len(FIELDS)), ids=FIELDS)
def test_it_is_calibrated_among_patients_of_each_age_sex_and_site(place: int) -> None:
    """The sample comes from the code that draws patients, the posterior from the formula of their shares."""
    drawn = many()
    found = drawn.oracle(EVERYTHING)
    gap, spread = found - np.eye(WIDTH)[drawn.truth], found * (1 - found)
    for value in np.unique(drawn.told[:, place]):
        inside = drawn.told[:, place] == value
        room = spread[inside].sum(axis=0)
        enough = room > 10
        assert (np.abs(gap[inside].sum(axis=0))[enough] < 4.5 * np.sqrt(room[enough])).all()


@pytest.mark.parametrize("fuser", ["image_only", "pool", "bayes", "logistic"])
def test_no_fuser_beats_it(fuser: str) -> None:
    spec = next(s for s in dxtree_fusers() if s.name == fuser)
    asked = independent_answers(1000, 12)
    fit = fitted(spec, answers_of(400, 12).cases(2), answer_partition(), 0)
    at = np.arange(1000)
    said = np.stack([fit.fuse(c.evidence, c.patient).values for c in asked.cases(2)])[at, asked.truth]
    worse = np.log(asked.oracle(EVERYTHING)[at, asked.truth]) - np.log(said)
    assert worse.mean() > 2 * worse.std() / math.sqrt(len(worse))


def test_nothing_known_of_patients_leaves_what_the_images_say() -> None:
    drawn = answers_of(200, 3)
    unknown = replace(drawn, told=np.full_like(drawn.told, -1))
    assert unknown.oracle(EVERYTHING) == pytest.approx(drawn.oracle(VIEWS), abs=1e-12)
    assert np.array_equal(unknown.oracle(VIEWS), drawn.oracle(VIEWS))
    assert {unknown.patient(k) for k in range(200)} == {PatientMetadata()}


def test_metadata_without_signal_change_nothing() -> None:
    drawn = answers_of(200, 3, metadata_signal=False)
    assert (drawn.told >= 0).any()
    assert np.array_equal(drawn.oracle(EVERYTHING), drawn.oracle(VIEWS))


def test_it_is_the_prior_where_nothing_is_given_or_nets_are_blind() -> None:
    weights = np.array([c.weight for c in CLASSES])
    assert answers_of(3, 0).oracle(()) == pytest.approx(np.tile(weights / weights.sum(), (3, 1)))
    assert answers_of(3, 0, sharpness=0).oracle(VIEWS) == pytest.approx(answers_of(3, 0).oracle(()))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(-400, 400), min_size=2 * WIDTH, max_size=2 * WIDTH),
            st.integers(-1, 18),
            st.integers(-1, 1),
            st.integers(-1, len(SITE_TERMS) - 1),
        ),
        min_size=1,
        max_size=4,
    ),
    st.permutations(EVERYTHING),
    st.integers(0, len(EVERYTHING)),
)
def test_any_vector_and_patient_get_a_distribution_whatever_the_order_of_inputs(
    rows: list[tuple[list[float], int, int, int]], order: list[str], size: int
) -> None:
    vectors = np.array([r[0] for r in rows]).reshape(-1, len(VIEWS), WIDTH)
    told = np.array([r[1:] for r in rows], np.int64)
    drawn = PerfectAnswers("SYN_any", np.zeros(len(rows), np.int64), vectors, told, 1.5, metadata_signal=True)
    found = drawn.oracle(order[:size])
    assert (found >= 0).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-12)
    assert np.array_equal(found, drawn.oracle(sorted(order[:size]) * 2))


def test_it_adds_up_to_the_nodes_of_the_tree() -> None:
    rows = answers_of(20, 1).oracle(EVERYTHING)
    sums = TreeSums(answer_partition())
    by_level = {level: rows @ level_members(level) for level in (1, 2)}
    assert [level_members(k).shape for k in (1, 2, 3)] == [(WIDTH, 3), (WIDTH, 7), (WIDTH, WIDTH)]
    assert all((level_members(k).sum(axis=1) == 1).all() for k in (1, 2, 3))
    for k, case in enumerate(answers_of(20, 1).cases(2)):
        leaf = replace(case.evidence[0].probabilities, values=rows[k])
        tree = TreeProbabilities(sums, leaf)
        for level, found in by_level.items():
            assert list(tree.level(level).values()) == pytest.approx(found[k], abs=1e-12)


# Cases to fit on


def test_evidence_is_the_posterior_of_its_view_beside_the_prior_that_it_holds() -> None:
    drawn = answers_of(30, 2)
    cases = drawn.cases(3)
    check_cases(cases, answer_partition())
    prior = drawn.oracle(())[0]
    for view in VIEWS:
        said = drawn.oracle((view,))
        for k, case in enumerate(cases):
            (one,) = (e for e in case.evidence if e.modality == view)
            assert np.array_equal(one.probabilities.values, said[k])
            assert one.prior.values == pytest.approx(prior, abs=1e-15)


def test_folds_are_alike_in_size_and_classes() -> None:
    cases = answers_of(1040, 2).cases(5)
    assert set(Counter(c.fold for c in cases).values()) == {208}
    for place, one in zip(answer_partition().ids, CLASSES, strict=True):
        inside = Counter(c.fold for c in cases if c.truth == place)
        assert all(abs(inside[fold] - 2 * one.weight) <= 3 for fold in range(5))


# The gain


@pytest.mark.parametrize("metric", get_args(Metric))
def test_gain_is_the_difference_of_the_metrics_as_the_evaluation_computes_them(metric: Metric) -> None:
    drawn = answers_of(400, 5)
    first, second = (np.round(drawn.oracle(c), 2) for c in (EVERYTHING, VIEWS))  # rounded, so that some tie
    found = gain(metric, drawn.truth, first, second)
    assert found.value == pytest.approx(measured(metric, drawn, first) - measured(metric, drawn, second))
    assert gain(metric, drawn.truth, second, first).value == pytest.approx(-found.value)
    assert gain(metric, drawn.truth, first, first).value == gain(metric, drawn.truth, first, first).error == 0


@pytest.mark.parametrize("metric", get_args(Metric))
def test_its_error_is_the_spread_of_gains_over_samples(metric: Metric) -> None:
    found = [gain(metric, *each) for each in small_samples()]
    spread = np.std([g.value for g in found], ddof=1)
    assert np.mean([g.error for g in found]) == pytest.approx(spread, rel=0.25)


def test_the_error_of_an_area_is_the_one_of_delong_in_plain_sums() -> None:
    drawn = answers_of(80, 5)
    bad = MALIGNANT[drawn.truth]
    won, lost = np.zeros(int(bad.sum())), np.zeros(int((~bad).sum()))
    asked: dict[int, tuple[str, ...]] = {1: EVERYTHING, -1: VIEWS}
    for sign, inputs in asked.items():
        rows = np.round(drawn.oracle(inputs)[:, MALIGNANT].sum(axis=1), 1)
        above = np.sign(rows[bad][:, None] - rows[~bad][None, :]) / 2 + 0.5
        won += sign * above.mean(axis=1)
        lost += sign * above.mean(axis=0)
    rounded = [np.zeros((80, WIDTH)) for _ in range(2)]
    for answer, inputs in zip(rounded, asked.values(), strict=True):
        answer[:, np.flatnonzero(MALIGNANT)[0]] = np.round(drawn.oracle(inputs)[:, MALIGNANT].sum(axis=1), 1)
    found = gain("auc_malignant", drawn.truth, *rounded)
    assert found.value == pytest.approx(won.mean())
    assert found.error**2 == pytest.approx(won.var(ddof=1) / len(won) + lost.var(ddof=1) / len(lost))


@pytest.mark.parametrize("metric", get_args(Metric))
def test_two_samples_agree_on_what_is_built_in(metric: Metric) -> None:
    one, other = (gain_built_in(metric, lesions=4000, seed=seed) for seed in (1, 2))
    assert abs(one.value - other.value) < 4 * math.hypot(one.error, other.error)
    assert abs(one.value) > 10 * one.error
    assert (one.value > 0) == (metric == "auc_malignant")


def test_the_sharper_the_nets_the_less_is_left_for_metadata() -> None:
    found = [gain_built_in("auc_malignant", sharpness=s, lesions=3000).value for s in (0.0, 1.0, 2.0, 6.0)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0, abs=1e-3)


# What is refused


def test_what_no_answers_can_be_made_of_is_refused() -> None:
    for draw in (answers_of, independent_answers):
        for lesions, seed, sharpness in (
            (0, 0, 1.0),
            (1, -1, 1.0),
            (1, 0, -1.0),
            (1, 0, math.nan),
            (1, 0, math.inf),
        ):
            with pytest.raises(CohortError):
                draw(lesions, seed, sharpness=sharpness)
    drawn = answers_of(3, 0)
    with pytest.raises(CohortError, match="did you mean 'age_years'"):
        drawn.oracle(("age_year",))
    for folds in (1, 4):
        with pytest.raises(CohortError, match="folds"):
            drawn.cases(folds)
    with pytest.raises(CohortError, match="did you mean 'brier_leaf'"):
        gain("brier_leafs", drawn.truth, drawn.oracle(()), drawn.oracle(()))  # type: ignore[arg-type]


def test_an_area_without_two_of_each_side_is_not_defined() -> None:
    drawn = answers_of(3, 0)
    benign = replace(drawn, truth=np.zeros(3, np.int64))
    found = gain("auc_malignant", benign.truth, benign.oracle(VIEWS), benign.oracle(()))
    assert math.isnan(found.value)
    assert math.isnan(found.error)


# Helpers


def joint(
    one: SyntheticClass, place: int, drawn: PerfectAnswers, lesion: int, inputs: tuple[str, ...]
) -> float:
    """P(class) * density of each vector * P(age) * P(sex) * P(site), one factor after the other."""
    found = float(one.weight)
    for view, vector in zip(VIEWS, drawn.vectors[lesion].tolist(), strict=True):
        if view in inputs:
            for c, z in enumerate(vector):
                centre = drawn.sharpness if c == place else 0.0
                found *= math.exp(-((z - centre) ** 2) / 2)
    age, sex, site = drawn.told[lesion].tolist()
    if "age_years" in inputs and age >= 0:
        found *= share_of_age(age * 5, one.habit.age_mean, one.habit.age_deviation)
    if "sex" in inputs and sex >= 0:
        found *= one.habit.female if sex == 0 else 1 - one.habit.female
    if "site" in inputs and site >= 0:
        found *= one.habit.sites[site] / sum(one.habit.sites)
    return found


def share_of_age(age: int, mean: float, deviation: float) -> float:
    """How often a normal number, cut off at 0 and 90 and rounded to 5, is this age."""

    def above(years: float) -> float:
        return math.erfc((years - mean) / deviation / math.sqrt(2)) / 2

    if age == 0:
        return 1 - above(2.5)
    return above(87.5) if age == 90 else above(age - 2.5) - above(age + 2.5)


def measured(metric: Metric, drawn: PerfectAnswers, rows: FloatArray) -> float:
    if metric == "auc_malignant":
        area = auc(rows[:, MALIGNANT].sum(axis=1), MALIGNANT[drawn.truth].astype(np.int64))
        return float(area(np.ones((len(rows), 1)))[0])
    member = level_members(["brier_first_level", "brier_second_level", "brier_leaf"].index(metric) + 1)
    return float(squared_error(rows @ member, member.argmax(axis=1)[drawn.truth]).mean())
