"""Do the metrics agree with scikit-learn, with their definitions by hand, and with repeated rows?"""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from core.errors import UnknownNode
from core.taxonomy import Taxonomy
from dxtree.evaluation import ALL_METRICS, METRICS, NodeScores, Scored, node_metrics
from dxtree.evaluation.calibration import calibrated_errors, calibration_error, reliability
from dxtree.evaluation.counting import macro_f1, official_f1
from dxtree.evaluation.intervals import draw_weights
from dxtree.evaluation.metrics import value_of
from dxtree.evaluation.proper import tree_distances
from dxtree.evaluation.ranking import auc, node_statistics
from dxtree.evaluation.weighted import Shared

Floats = npt.NDArray[np.float64]

TREE = Taxonomy.from_paths("tree", [("a", "b", "c"), ("a", "b", "d"), ("a", "e"), ("f",)])
NODES = ("a:b:c", "a:b:d", "a:b", "a:e", "f", "a")
APART = np.array(
    [
        [0, 2, 1, 3, 4, 2],
        [2, 0, 1, 3, 4, 2],
        [1, 1, 0, 2, 3, 1],
        [3, 3, 2, 0, 3, 1],
        [4, 4, 3, 3, 0, 2],
        [2, 2, 1, 1, 2, 0],
    ]
)
"""Edges between the nodes of `NODES`, counted on paper."""


def scored(seed: int, rows: int, classes: int, *, places: int = 12) -> Scored:
    """Random scores, more often right than wrong; few `places` make ties."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    scores = rng.dirichlet(np.ones(classes), rows) + rng.random((rows, 1)) * np.eye(classes)[truth]
    scores /= scores.sum(axis=1, keepdims=True)
    nodes = {
        "malignant": NodeScores(rng.random(rows).round(places), rng.integers(2, size=rows)),
        "some": NodeScores(rng.random(rows).round(places), rng.integers(-1, 2, size=rows)),
    }
    distances = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))).astype(float)
    return Scored(scores.round(places), truth, nodes, distances)


def values(given: Scored) -> dict[str, float]:
    return {name: value_of(s, len(given.truth)) for name, s in given.statistics().items()}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 80),
    classes=st.integers(2, 9),
    places=st.sampled_from([1, 2, 12]),
)
def test_metrics_equal_those_of_scikit_learn(seed: int, rows: int, classes: int, places: int) -> None:
    given = scored(seed, rows, classes, places=places)
    found = values(given)
    answer = given.scores.argmax(axis=1)
    present = np.unique(given.truth)
    recall = recall_score(given.truth, answer, labels=present, average="macro", zero_division=0)
    assert found["accuracy"] == pytest.approx(accuracy_score(given.truth, answer), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(recall, abs=1e-12)
    f1 = f1_score(given.truth, answer, labels=present, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(f1, abs=1e-12)
    scaled = given.scores / given.scores.sum(axis=1, keepdims=True)
    with warnings.catch_warnings():  # it warns of rows that sum to 1 but for rounding
        warnings.simplefilter("ignore", UserWarning)
        loss = log_loss(given.truth, scaled, labels=range(classes))
    assert found["log_loss"] == pytest.approx(loss, abs=1e-9)
    assert found["tree_distance"] == pytest.approx(np.abs(answer - given.truth).mean(), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 80),
    classes=st.integers(2, 9),
    places=st.sampled_from([1, 2, 12]),
)
def test_ranks_equal_those_of_scikit_learn(seed: int, rows: int, classes: int, places: int) -> None:
    given = scored(seed, rows, classes, places=places)
    found = values(given)
    members = [(given.truth == c, given.scores[:, c]) for c in np.unique(given.truth)]
    precision = np.mean([average_precision_score(m, s) for m, s in members])
    assert found["macro_average_precision"] == pytest.approx(precision, abs=1e-12)
    areas = [roc_auc_score(m, s) for m, s in members if not m.all()]
    expected = np.mean(areas) if areas else float("nan")
    assert found["macro_auc"] == pytest.approx(expected, abs=1e-12, nan_ok=True)
    for key, node in given.nodes.items():
        known = node.truth >= 0
        positive, scores = node.truth[known] == 1, node.scores[known]
        own = {name.removesuffix(f"_{key}"): v for name, v in found.items() if name.endswith(f"_{key}")}
        if positive.any():
            by_sklearn = average_precision_score(positive, scores)
            assert own["average_precision"] == pytest.approx(by_sklearn, abs=1e-12)
        if positive.any() and not positive.all():
            assert own["auc"] == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
            false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
            for aim in (90, 95):
                reached = true[false <= 1 - aim / 100 + 1e-12].max()
                assert own[f"sensitivity_at_{aim}"] == pytest.approx(reached, abs=1e-12)
            reached = 1 - false[true >= 0.95 - 1e-12].min()
            assert own["specificity_at_95"] == pytest.approx(reached, abs=1e-12)
        else:
            assert np.isnan([v for name, v in own.items() if name != "average_precision"]).all()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 50), classes=st.integers(2, 6))
def test_brier_is_the_mean_squared_distance_to_the_one_hot_truth(seed: int, rows: int, classes: int) -> None:
    given = scored(seed, rows, classes)
    by_hand = [
        sum((p / row.sum() - (k == t)) ** 2 for k, p in enumerate(row))
        for row, t in zip(given.scores, given.truth, strict=True)
    ]
    assert values(given)["brier"] == pytest.approx(np.mean(by_hand), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 60),
    places=st.sampled_from([1, 2, 12]),
)
def test_weights_mean_what_repeated_rows_mean(seed: int, rows: int, places: int) -> None:
    given = scored(seed, rows, 4, places=places)
    groups = np.arange(rows)
    weights = np.concatenate(list(draw_weights(groups, 3, seed)), axis=1)
    weighted = {name: statistic(weights) for name, statistic in given.statistics().items()}
    for column in range(weights.shape[1]):
        repeated = values(given.select(np.repeat(groups, weights[:, column].astype(int))))
        expected = {name: float(found[column]) for name, found in weighted.items()}
        assert repeated == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 60), places=st.sampled_from([1, 12]))
def test_order_of_lesions_does_not_change_a_metric(seed: int, rows: int, places: int) -> None:
    given = scored(seed, rows, 4, places=places)
    shuffled = given.select(np.random.default_rng(seed).permutation(rows))
    assert values(shuffled) == pytest.approx(values(given), abs=1e-12, nan_ok=True)


def test_ece_of_thirty_lesions_by_hand() -> None:
    # Two lesions a bin, confidences .50, .51, ..., .79; right are the last lesion of each bin.
    confidence = 0.5 + np.arange(30) / 100
    correct = np.arange(30) % 2 == 1
    by_hand = np.mean([abs(0.5 - (0.5 + (2 * k + 0.5) / 100)) for k in range(15)])
    assert value_of(calibration_error(confidence, correct), 30) == pytest.approx(by_hand, abs=1e-12)


def test_ece_splits_a_lesion_that_an_edge_cuts() -> None:
    # Three lesions, two bins: the middle one counts half in each.
    confidence, correct = np.array([0.4, 0.6, 0.9]), np.array([False, True, True])
    low = abs((0 + 0.5) / 1.5 - (0.4 + 0.3) / 1.5)
    high = abs((0.5 + 1) / 1.5 - (0.3 + 0.9) / 1.5)
    assert value_of(calibration_error(confidence, correct, bins=2), 3) == pytest.approx((low + high) / 2)


def test_ece_of_a_model_always_sure_by_the_same_amount_is_its_overconfidence() -> None:
    correct = np.arange(100) < 70
    assert value_of(calibration_error(np.full(100, 0.95), correct), 100) == pytest.approx(0.25)


def test_ece_of_a_calibrated_model_is_what_chance_alone_makes() -> None:
    rng = np.random.default_rng(3)
    confidence = rng.uniform(0.3, 1, 20_000)
    correct = rng.random(20_000) < confidence
    found = value_of(calibration_error(confidence, correct), 20_000)
    chance = calibrated_errors(confidence, resamples=200, seed=0)
    assert found < 0.015
    assert found < np.quantile(chance, 0.999)
    overconfident = value_of(calibration_error(np.sqrt(confidence), correct), 20_000)
    assert overconfident == pytest.approx(np.mean(np.sqrt(confidence) - confidence), abs=0.01)
    assert overconfident > 5 * chance.max()


def test_reliability_table_sums_to_the_ece() -> None:
    given = scored(5, 157, 4)
    confidence, correct = given.top_label()
    sure, right = reliability(confidence, correct)
    assert (np.diff(sure) > 0).all()
    assert np.abs(sure - right).mean() == pytest.approx(values(given)["ece"], abs=1e-12)
    assert right.mean() == pytest.approx(correct.mean(), abs=1e-12)


def test_auc_leaves_out_lesions_whose_label_does_not_tell() -> None:
    scores, truth = np.array([0.1, 0.9, 0.5, 0.4]), np.array([0, 1, -1, 1])
    assert value_of(auc(scores, truth), 4) == 1.0
    assert np.isnan(value_of(auc(scores, np.array([0, 0, -1, 0])), 4))


def test_unmapped_mass_is_scaled_away_for_brier_ece_and_log_loss_alone() -> None:
    half = Scored(np.array([[0.25, 0.25 / 4], [0.0, 0.0]]), np.array([0, 1]))
    found = values(half)
    assert found["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2)
    assert found["official_f1"] == 0
    assert found["brier"] == pytest.approx(np.mean([2 * 0.2**2, 2 * 0.5**2]))
    assert found["accuracy"] == 0.5
    assert np.isnan(found["auc_malignant"])
    assert np.isnan(found["tree_distance"])


def test_no_lesion_gives_no_number() -> None:
    nobody = NodeScores(np.zeros(0), np.zeros(0, np.int64))
    empty = Scored(np.zeros((0, 3)), np.zeros(0, np.int64), {"malignant": nobody}, np.zeros((3, 3)))
    assert all(np.isnan(v) for v in values(empty).values())


def test_every_metric_has_a_statistic_and_a_definition() -> None:
    names = {m.name for m in (*ALL_METRICS, *node_metrics("some"))}
    given = scored(0, 9, 3)
    assert set(given.statistics()) == names
    assert set(Scored(given.scores, given.truth).statistics()) == {m.name for m in ALL_METRICS}
    assert ALL_METRICS[: len(METRICS)] == METRICS
    assert all(m.definition and "{" not in m.definition for m in ALL_METRICS)


def test_a_share_at_a_fixed_aim_by_hand() -> None:
    # Negatives .1 .2 .3 .4 .5 .6 .7 .8 .9 .9, positives .85 .9 .95 .95: at .9 two negatives come along.
    scores = np.array([*np.arange(1, 10) / 10, 0.9, 0.85, 0.9, 0.95, 0.95])
    truth = np.array([0] * 10 + [1] * 4)
    found = {name: value_of(s, 14) for name, s in node_statistics(scores, truth).items()}
    assert found["sensitivity_at_90"] == found["sensitivity_at_95"] == 0.5
    assert found["specificity_at_95"] == 0.8
    # A negative tied with every positive leaves no threshold of full specificity but "never".
    tied = {n: value_of(s, 3) for n, s in node_statistics(np.ones(3), np.array([0, 1, 1])).items()}
    assert (tied["sensitivity_at_90"], tied["specificity_at_95"], tied["auc"]) == (0, 0, 0.5)
    # Of 20 negatives one may stand above: a share that is reached to the digit is reached.
    exact = node_statistics(np.array([*np.arange(19), 50, 40, 0.5]), np.array([0] * 20 + [1, 1]))
    assert value_of(exact["sensitivity_at_95"], 22) == 0.5


def test_f1_of_the_official_form_by_hand() -> None:
    scores = np.array([[0.6, 0.6, 0], [0.5, 0.2, 0], [0.51, 0, 0], [0.2, 0.7, 0]])
    truth = np.array([0, 0, 1, 1])
    # Class 0: called 1st and 3rd, one right, two there. Class 1: called 1st and 4th. Class 2: nowhere at all.
    assert value_of(official_f1(scores, truth), 4) == pytest.approx((0.5 + 0.5 + 1) / 3)
    # The answers 0 0 0 1: class 0 has 2 of 3 right, class 1 is found once of twice; class 2 takes no part.
    answers = scores.argmax(axis=1)
    assert value_of(macro_f1(answers, truth), 4) == pytest.approx((0.8 + 2 / 3) / 2)
    # Never called though it occurs: 0, in both.
    assert value_of(official_f1(np.array([[0.9, 0.1]]), np.array([1])), 1) == 0
    assert value_of(macro_f1(np.array([0]), np.array([1])), 1) == 0


def test_log_loss_of_a_sure_error_is_large_and_finite() -> None:
    wrong = Scored(np.array([[1.0, 0.0]]), np.array([1]))
    assert values(wrong)["log_loss"] == pytest.approx(52 * np.log(2))


def test_tree_distance_counts_edges_through_the_lowest_common_ancestor() -> None:
    assert (tree_distances(TREE, NODES) == APART).all()
    assert tree_distances(TREE, ()).shape == (0, 0)
    with pytest.raises(UnknownNode):
        tree_distances(TREE, ["a:z"])


def test_a_shared_result_is_made_once_a_weight_matrix_and_never_mixed_up() -> None:
    asked: list[float] = []

    def make(weights: Floats) -> Floats:
        asked.append(float(weights[0, 0]))
        return weights.sum(axis=0)

    one, other = Shared(make), Shared(lambda weights: -weights.sum(axis=0))
    first, second = np.ones((2, 3)), np.full((2, 3), 2.0)
    assert one(first).tolist() == one(first).tolist() == [2.0] * 3
    assert asked == [1.0]
    assert one(second).tolist() == [4.0] * 3
    assert other(second).tolist() == [-4.0] * 3
    assert one(second).tolist() == [4.0] * 3
    assert asked == [1.0, 2.0, 2.0]
