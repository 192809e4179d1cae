"""Does leaving lesions unanswered cost what the curve says, and does acting gain what its curve says?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ContractError, UnknownNode
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from dxtree.evaluation.decision_curve import decision_curve, net_benefit
from dxtree.evaluation.intervals import group_index
from dxtree.evaluation.selective import (
    COVERAGES,
    answer_by_depth,
    area_under_risk,
    deepest,
    risk_at,
    risk_coverage,
)

few = settings(max_examples=60, deadline=None)
PATHS = [("bad", "dark"), ("bad", "light", "a"), ("bad", "light", "b"), ("good",), ("good", "mole")]
TREE = Taxonomy.from_paths("paths", PATHS)
PARTITION = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=5)
SUMS = TreeSums(PARTITION)
WIDTH = len(PARTITION.classes)


def once(statistic, rows):
    return float(statistic(np.ones((rows, 1)))[0])


def answered(rows, seed=0, *, rounded=False):
    """Confidences, and answers that are right about as often."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.2, 1, rows)
    if rounded:
        confidence = np.round(confidence, 1)
    return confidence, rng.random(rows) < confidence


# --- risk and coverage --------------------------------------------------------------------------------------


def test_the_curve_is_the_error_among_the_surest():
    confidence = np.array([0.9, 0.5, 0.8, 0.8])
    found = risk_coverage(confidence, np.array([True, False, False, True]), np.arange(4), resamples=20)
    assert found.threshold.tolist() == [0.9, 0.8, 0.5]
    assert found.coverage.tolist() == [0.25, 0.75, 1]
    assert found.risk == pytest.approx([0, 1 / 3, 1 / 2])
    assert found.bands[-1].value == pytest.approx(0.5)
    assert found.lesions == 4


@pytest.mark.parametrize("rounded", [False, True])
def test_the_risk_at_a_coverage_is_counted_lesion_by_lesion(rounded):
    confidence, correct = answered(200, rounded=rounded)
    surest = np.argsort(-confidence, kind="stable")
    for share in (0.1, 0.5, 1.0):
        # Of a tie at the edge a part counts, with the error of the whole tie.
        edge = confidence[surest[round(share * 200) - 1]]
        over, tie = confidence > edge, confidence == edge
        part = share * 200 - over.sum()
        expected = ((~correct[over]).sum() + part * (~correct[tie]).mean()) / (share * 200)
        assert once(risk_at(confidence, correct, share), 200) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_area_is_the_mean_risk_over_all_coverages(rounded):
    confidence, correct = answered(300, 1, rounded=rounded)
    fine = [once(risk_at(confidence, correct, (k + 0.5) / 1000), 300) for k in range(1000)]
    assert once(area_under_risk(confidence, correct), 300) == pytest.approx(np.mean(fine), abs=5e-4)


def test_the_area_is_near_the_mean_risk_over_the_surest():
    confidence, correct = answered(3000, 2)
    wrong = ~correct[np.argsort(-confidence)]
    usual = (np.cumsum(wrong) / np.arange(1, 3001)).mean()
    assert once(area_under_risk(confidence, correct), 3000) == pytest.approx(usual, abs=np.log(3000) / 3000)


def test_all_equally_sure_have_the_error_as_area():
    correct = np.array([True, False, True, False, False])
    assert once(area_under_risk(np.full(5, 0.5), correct), 5) == pytest.approx(0.6)


@few
@given(data=st.data())
def test_weights_mean_repeated_rows_and_no_order_matters(data):
    rows = data.draw(st.integers(1, 30))
    confidence, correct = answered(rows, data.draw(st.integers(0, 999)), rounded=data.draw(st.booleans()))
    weights = np.array(data.draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows)))
    if not weights.sum():
        weights[0] = 1
    repeated = np.random.default_rng(rows).permutation(np.repeat(np.arange(rows), weights))
    for make in (area_under_risk, lambda c, r: risk_at(c, r, 0.3)):
        weighted = make(confidence, correct)(weights[:, None].astype(float))[0]
        expected = once(make(confidence[repeated], correct[repeated]), len(repeated))
        assert weighted == pytest.approx(expected, abs=1e-9)


def test_a_ranking_that_knows_its_errors_has_the_smaller_area():
    confidence, correct = answered(500, 3)
    knowing = confidence + correct
    blind = np.random.default_rng(0).random(500)
    areas = [once(area_under_risk(c, correct), 500) for c in (knowing, confidence, blind)]
    assert areas == sorted(areas)
    assert areas[2] == pytest.approx((~correct).mean(), abs=0.05)


def test_intervals_hold_their_values_and_widen_with_groups():
    confidence, correct = answered(400, 4)
    alone = risk_coverage(confidence, correct, np.arange(400), resamples=300)
    assert all(b.low <= b.value <= b.high for b in (alone.area, *alone.bands))
    assert len(alone.bands) == len(COVERAGES)
    twice = [np.repeat(x, 4) for x in (confidence, correct)]
    together = risk_coverage(*twice, np.repeat(np.arange(400), 4), resamples=300)
    assert together.area.value == pytest.approx(alone.area.value)
    apart = risk_coverage(*twice, np.arange(1600), resamples=300)
    assert together.area.high - together.area.low > 1.5 * (apart.area.high - apart.area.low)


@pytest.mark.parametrize(
    ("confidence", "correct", "groups"),
    [([], [], []), ([0.5], [True, False], [0]), ([0.5], [True], [0, 1]), ([np.nan], [True], [0])],
)
def test_arrays_that_do_not_fit_a_curve_are_refused(confidence, correct, groups):
    with pytest.raises(ContractError):
        risk_coverage(np.array(confidence), np.array(correct, bool), np.array(groups, int))


# --- answers at the depth that is sure enough ---------------------------------------------------------------


@few
@given(seed=st.integers(0, 999), at_least=st.floats(0.01, 1))
def test_the_deepest_node_is_the_most_specific_one_of_each_case(seed, at_least):
    values = np.random.default_rng(seed).dirichlet(np.full(WIDTH, 0.5), 8)
    found = deepest(SUMS, values, at_least)
    for row, place in zip(values, found, strict=True):
        tree = TreeProbabilities(SUMS, LeafProbabilities(PARTITION.ids, row))
        assert TREE.ids[place] == tree.most_specific(at_least=at_least)


def test_coverage_depth_and_error_are_counted_by_hand():
    assert PARTITION.ids == ("bad:dark", "bad:light:a", "bad:light:b", "good~", "good:mole")
    values = np.array(
        [
            [0.9, 0.1, 0, 0, 0],  # bad:dark
            [0, 0.9, 0.1, 0, 0],  # bad:light:a
            [0, 0.5, 0.4, 0.1, 0],  # bad:light
            [0.3, 0.2, 0.1, 0.2, 0.2],  # the root
            [0, 0, 0, 0.2, 0.8],  # good:mole
            [0, 0, 0, 0.5, 0.5],  # good
        ]
    )
    labels = ["bad:dark", "bad:light:b", "bad:light:b", "good", "good", "bad"]
    [found] = answer_by_depth(SUMS, values, labels, np.arange(6), thresholds=[0.8], resamples=50)
    assert found.answered.value == pytest.approx(5 / 6)
    assert found.depth.value == pytest.approx((2 + 3 + 2 + 2 + 1) / 5)
    # bad:light:a and good are wrong; the label "good" lies above good:mole and does not tell.
    assert found.error.value == pytest.approx(2 / 4)
    assert found.untold == 1


def test_a_threshold_that_nothing_reaches_has_no_error():
    values = np.full((4, WIDTH), 1 / WIDTH)
    [found] = answer_by_depth(SUMS, values, ["good"] * 4, np.arange(4), thresholds=[0.99], resamples=20)
    assert found.answered.value == 0
    assert found.error.value is found.depth.value is None
    assert found.error.reason == "no lesion is answered"


def test_a_higher_threshold_answers_fewer_lesions_less_deeply():
    values = np.random.default_rng(0).dirichlet(np.full(WIDTH, 0.4), 300)
    labels = [PARTITION.classes[k].node for k in values.argmax(axis=1)]
    found = answer_by_depth(SUMS, values, labels, np.arange(300), resamples=20)
    shares = [p.answered.value for p in found]
    assert shares == sorted(shares, reverse=True)
    assert [p.threshold for p in found] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]


@pytest.mark.parametrize("threshold", [0, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold):
    with pytest.raises(ContractError, match=r"\(0, 1\]"):
        answer_by_depth(SUMS, np.ones((1, WIDTH)) / WIDTH, ["good"], np.arange(1), thresholds=[threshold])


def test_labels_that_do_not_fit_are_refused():
    values = np.ones((2, WIDTH)) / WIDTH
    with pytest.raises(ContractError, match="of one length"):
        answer_by_depth(SUMS, values, ["good"], np.arange(2))
    with pytest.raises(UnknownNode):
        answer_by_depth(SUMS, values, ["good", "evil"], np.arange(2))


# --- net benefit --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.5, 0.9])
def test_net_benefit_is_counted_one_by_one(threshold):
    rng = np.random.default_rng(0)
    scores, truth = np.round(rng.random(100), 1), rng.integers(0, 2, 100)
    benefit = 0.0
    for score, true in zip(scores, truth, strict=True):
        if score >= threshold:
            benefit += 1 if true else -threshold / (1 - threshold)
    assert once(net_benefit(scores, truth, threshold), 100) == pytest.approx(benefit / 100, abs=1e-12)


def test_acting_on_everybody_is_worth_nothing_at_the_prevalence():
    truth = np.array([1] * 20 + [0] * 80)
    scores = np.random.default_rng(0).random(100)
    found = decision_curve(scores, truth, np.arange(100), thresholds=[0.1, 0.2, 0.3], resamples=200)
    everybody = [p.everybody.value for p in found.points]
    assert everybody == pytest.approx([0.2 - 0.8 / 9, 0, 0.2 - 0.8 * 3 / 7])
    assert found.points[2].everybody.low < found.points[2].everybody.high < 0
    assert (found.positives, found.negatives, found.left_out) == (20, 80, 0)


def test_a_calibrated_score_gains_and_a_blind_one_does_not():
    rng = np.random.default_rng(1)
    scores = rng.beta(0.5, 0.5, 800)
    truth = (rng.random(800) < scores).astype(int)
    good = decision_curve(scores, truth, np.arange(800), thresholds=[0.3, 0.5, 0.7], resamples=200)
    assert all(p.gain.low > 0 for p in good.points)
    blind = decision_curve(rng.permutation(scores), truth, np.arange(800), thresholds=[0.3], resamples=200)
    assert blind.points[0].gain.high < 0


def test_the_gain_is_over_the_better_of_everybody_and_nobody():
    scores, truth = np.array([0.9, 0.8, 0.4, 0.1] * 5), np.array([1, 1, 1, 0] * 5)
    found = decision_curve(scores, truth, np.arange(20), thresholds=[0.5, 0.95], resamples=50)
    assert found.points[0].gain.value == pytest.approx(0.5 - (0.75 - 0.25))
    assert found.points[1].everybody.value < 0
    assert found.points[1].gain.value == pytest.approx(found.points[1].acting.value)


def test_rows_of_unknown_truth_are_left_out_and_counted():
    scores, truth = np.array([0.9, 0.2, 0.7, 0.6]), np.array([1, 0, -1, 0])
    found = decision_curve(scores, truth, group_index(["a", "b", "c", "d"]), thresholds=[0.5], resamples=50)
    assert (found.positives, found.negatives, found.left_out) == (1, 2, 1)
    assert found.points[0].acting.value == pytest.approx(0)


@pytest.mark.parametrize(
    ("scores", "truth", "thresholds"),
    [
        ([0.5], [-1], [0.5]),
        ([0.5], [2], [0.5]),
        ([np.nan], [1], [0.5]),
        ([0.5, 0.5], [1], [0.5]),
        ([0.5], [1], [1.0]),
        ([0.5], [1], [0.0]),
        ([0.5], [1], []),
    ],
)
def test_what_gives_no_decision_curve_is_refused(scores, truth, thresholds):
    with pytest.raises(ContractError):
        decision_curve(np.array(scores), np.array(truth), np.arange(len(truth)), thresholds=thresholds)


# --- the figure ---------------------------------------------------------------------------------------------


def test_the_figure_shows_each_curve_and_its_area_with_the_same_bytes_each_time():
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    from dxtree.figures.risk_coverage import risk_coverage_figure
    from dxtree.figures.style import svg

    curves = {
        name: risk_coverage(*answered(300, k), np.arange(300), resamples=50)
        for k, name in enumerate(("level 1", "leaves"))
    }
    figure = risk_coverage_figure(curves, title="Some lesions")
    first, second = (line for line in figure.axes[0].get_lines() if not str(line.get_label()).startswith("_"))
    area = f"{curves['level 1'].area.value:.3f}".removeprefix("0")
    assert str(first.get_label()).startswith(f"level 1: area {area} [")
    np.testing.assert_allclose(first.get_ydata()[-1], curves["level 1"].risk[-1])
    np.testing.assert_allclose(second.get_xdata()[-1], 1)
    top = figure.axes[0].get_ylim()[1]
    assert max(b.high for c in curves.values() for b in c.bands) <= top
    assert svg(figure) == svg(risk_coverage_figure(curves, title="Some lesions"))
    with pytest.raises(ContractError, match="no curve"):
        risk_coverage_figure({}, title="none")
