"""Do the metrics agree with scikit-learn, with their definitions by hand, and with repeated rows?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from dxtree.evaluation.calibration import calibrated_errors, calibration_error, reliability
from dxtree.evaluation.intervals import draw_weights
from dxtree.evaluation.metrics import METRICS, Scored, auc, value_of

Floats = npt.NDArray[np.float64]


def scored(seed: int, rows: int, classes: int, *, places: int = 12) -> Scored:
    """Random scores, more often right than wrong; few `places` make ties."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=rows)
    scores = rng.dirichlet(np.ones(classes), rows) + rng.random((rows, 1)) * np.eye(classes)[truth]
    scores /= scores.sum(axis=1, keepdims=True)
    malignant = rng.random(rows).round(places)
    return Scored(scores.round(places), truth, malignant, rng.integers(2, size=rows))


def values(given: Scored) -> dict[str, float]:
    return {name: value_of(s, len(given.truth)) for name, s in given.statistics().items()}


@settings(max_examples=60, deadline=None)
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
    if len(set(given.is_malignant.tolist())) == 2:
        area = roc_auc_score(given.is_malignant, given.malignant)
        assert found["auc_malignant"] == pytest.approx(area, abs=1e-12)
    else:
        assert np.isnan(found["auc_malignant"])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 50), classes=st.integers(2, 6))
def test_brier_is_the_mean_squared_distance_to_the_one_hot_truth(seed: int, rows: int, classes: int) -> None:
    given = scored(seed, rows, classes)
    by_hand = [
        sum((p / row.sum() - (k == t)) ** 2 for k, p in enumerate(row))
        for row, t in zip(given.scores, given.truth, strict=True)
    ]
    assert values(given)["brier"] == pytest.approx(np.mean(by_hand), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 60),
    places=st.sampled_from([1, 2, 12]),
)
def test_weights_mean_what_repeated_rows_mean(seed: int, rows: int, places: int) -> None:
    given = scored(seed, rows, 4, places=places)
    groups = np.arange(rows)
    weights = np.concatenate(list(draw_weights(groups, 5, seed)), axis=1)
    for name, statistic in given.statistics().items():
        weighted = statistic(weights)
        for column in range(weights.shape[1]):
            drawn = np.repeat(groups, weights[:, column].astype(int))
            repeated = given.select(drawn).statistics()[name]
            assert weighted[column] == pytest.approx(value_of(repeated, len(drawn)), abs=1e-12, nan_ok=True)


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


def test_unmapped_mass_is_scaled_away_for_brier_and_ece_alone() -> None:
    half = Scored(np.array([[0.25, 0.25 / 4], [0.0, 0.0]]), np.array([0, 1]), None, np.array([-1, -1]))
    found = values(half)
    assert found["brier"] == pytest.approx(np.mean([2 * 0.2**2, 2 * 0.5**2]))
    assert found["accuracy"] == 0.5
    assert np.isnan(found["auc_malignant"])


def test_no_lesion_gives_no_number() -> None:
    empty = Scored(np.zeros((0, 3)), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    assert all(np.isnan(v) for v in values(empty).values())


def test_every_metric_has_a_statistic_and_a_definition() -> None:
    assert list(scored(0, 9, 3).statistics()) == [m.name for m in METRICS]
    assert all(m.definition for m in METRICS)
