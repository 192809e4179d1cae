"""Do intervals cover what they claim, draw whole lesions, and call identical pipelines equal?"""

from __future__ import annotations

import time

import numpy as np
import pytest

from core.errors import CohortError
from dxtree.evaluation.calibration import calibrated_errors, calibration_error
from dxtree.evaluation.intervals import (
    Interval,
    Sampled,
    difference,
    draw_weights,
    group_index,
    interval,
    sample,
    wilson,
)
from dxtree.evaluation.metrics import ALL_METRICS, METRICS, NodeScores, Scored
from dxtree.evaluation.ranking import auc
from dxtree.evaluation.weighted import weighted_mean

BY_NAME = {m.name: m for m in METRICS}


def drawn(groups: list[str], resamples: int = 50, seed: int = 0) -> np.ndarray:
    return np.concatenate(list(draw_weights(group_index(groups), resamples, seed)), axis=1)


def test_rows_of_one_lesion_are_drawn_together() -> None:
    weights = drawn(["a", "b", "a", "c"])
    assert (weights[0] == weights[2]).all()
    assert (weights[[0, 1, 3]].sum(axis=0) == 3).all()
    assert len(np.unique(weights[:, 0])) > 1 or len(np.unique(weights)) > 1


def test_a_lesion_is_drawn_once_a_resample_on_average() -> None:
    weights = drawn([str(k) for k in range(40)], resamples=2000)
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(1 - 1 / 40, abs=0.05)


def test_resamples_depend_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [str(k) for k in range(30)]
    whole = drawn(names)
    monkeypatch.setattr("dxtree.evaluation.intervals._CELLS", 90)
    assert len(list(draw_weights(group_index(names), 50, 0))) > 10
    assert (drawn(names) == whole).all()
    assert not (drawn(names, seed=1) == whole).all()


def test_fewer_than_one_resample_is_refused() -> None:
    with pytest.raises(CohortError, match="resamples is 0"):
        list(draw_weights(np.zeros(3, np.int64), 0, 0))


def test_interval_of_accuracy_covers_the_truth_in_about_95_of_100_samples() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(400):
        right = (rng.random(150) < 0.7).astype(float)
        found = interval(
            sample({0: weighted_mean(right)}, np.arange(150), resamples=400, seed=seed)[0],
            BY_NAME["accuracy"],
        )
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.7 <= found.high
    assert 0.91 <= covered / 400 <= 0.98


def test_interval_of_the_ece_of_a_calibrated_model_holds_zero() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        confidence = rng.uniform(0.3, 1, 200)
        error = calibration_error(confidence, rng.random(200) < confidence)
        one = sample({0: error}, np.arange(200), resamples=200, seed=seed)[0]
        null = calibrated_errors(confidence, resamples=200, seed=seed)
        found = interval(one, BY_NAME["ece"], null=null)
        held += found.low == 0
        assert found.high is not None
        assert one.value <= found.high
    assert held >= 54


def test_a_biased_metric_is_mirrored_about_its_value_and_any_other_is_not() -> None:
    shifted = Sampled(0.10, np.linspace(0.11, 0.17, 601))
    mirrored = interval(shifted, BY_NAME["ece"])
    assert (mirrored.low, mirrored.high) == pytest.approx((0.0315, 0.10), abs=1e-9)
    plain = interval(shifted, BY_NAME["accuracy"])
    assert (plain.low, plain.high) == pytest.approx((0.10, 0.1685), abs=1e-9)


def test_interval_of_the_ece_of_an_overconfident_model_covers_its_overconfidence() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for seed in range(60):
        confidence = rng.uniform(0.4, 1, 700)
        error = calibration_error(confidence, rng.random(700) < confidence - 0.12)
        one = interval(sample({0: error}, np.arange(700), resamples=200, seed=seed)[0], BY_NAME["ece"])
        assert one.low is not None
        assert one.high is not None
        covered += one.low <= 0.12 <= one.high
    assert covered >= 45


def test_a_lower_ece_and_a_higher_auc_are_better() -> None:
    up = Sampled(0.8, np.linspace(0.75, 0.85, 101))
    down = Sampled(0.5, np.linspace(0.45, 0.55, 101)[::-1].copy())
    assert difference(up, down, BY_NAME["auc_malignant"])[1] == "better"
    assert difference(up, down, BY_NAME["ece"])[1] == "worse"
    assert difference(down, up, BY_NAME["brier"])[1] == "better"
    assert difference(down, up, BY_NAME["accuracy"])[1] == "worse"


def test_a_pipeline_does_not_differ_from_itself() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(3, size=80)
    nodes = {"malignant": NodeScores(rng.random(80), truth % 2)}
    one = Scored(rng.dirichlet(np.ones(3), 80), truth, nodes, np.ones((3, 3)))
    statistics = {(k, n): s for k in (0, 1) for n, s in one.statistics().items()}
    samples = sample(statistics, np.arange(80), resamples=100, seed=0)
    for m in ALL_METRICS:
        assert difference(samples[0, m.name], samples[1, m.name], m) == (Interval(0, 0, 0), "no difference")


def test_a_difference_of_rounding_is_no_difference() -> None:
    one = Sampled(0.5, np.full(100, 0.5))
    other = Sampled(0.5 + 1e-14, np.full(100, 0.5 + 1e-14))
    assert difference(one, other, BY_NAME["brier"])[1] == "no difference"


def test_paired_interval_is_narrower_than_that_of_each() -> None:
    rng = np.random.default_rng(4)
    right = rng.random(300) < 0.7
    better = right | (rng.random(300) < 0.1)
    statistics = {n: weighted_mean(v.astype(float)) for n, v in (("a", better), ("b", right))}
    samples = sample(statistics, np.arange(300), resamples=500, seed=0)
    between, verdict = difference(samples["a"], samples["b"], BY_NAME["accuracy"])
    alone = interval(samples["a"], BY_NAME["accuracy"])
    assert verdict == "better"
    assert None not in (between.low, between.high, alone.low, alone.high)
    assert between.high - between.low < alone.high - alone.low  # type: ignore[operator]


def test_undefined_is_none_with_a_reason() -> None:
    nothing = Sampled(float("nan"), np.full(10, np.nan))
    assert interval(nothing, METRICS[0], "why").to_dict() == {
        "value": None,
        "low": None,
        "high": None,
        "reason": "why",
    }
    assert difference(nothing, nothing, METRICS[0])[1] == "undefined"


def test_no_interval_where_most_resamples_do_not_define_the_metric() -> None:
    # One malignant lesion of 60: absent from about 37 % of resamples; of a mere two groups, from more.
    draws = np.where(np.arange(100) < 60, np.nan, 0.5)
    found = interval(Sampled(0.5, draws), BY_NAME["auc_malignant"])
    assert (found.value, found.low) == (0.5, None)
    assert found.reason == "most resamples do not define it"
    rare = auc(np.arange(60.0), (np.arange(60) == 59).astype(np.int64))
    enough = interval(sample({0: rare}, np.arange(60), resamples=200, seed=0)[0], BY_NAME["auc_malignant"])
    assert enough.low == 1.0


def test_wilson_interval_is_as_published() -> None:
    # Newcombe, Stat. Med. 17:857 (1998), table I, method 3: 81 of 263 gives .2553 to .3662.
    low, high = wilson(np.array([81 / 263]), 263)
    assert low[0] == pytest.approx(0.2553, abs=5e-5)
    assert high[0] == pytest.approx(0.3662, abs=5e-5)


def test_a_thousand_resamples_of_four_thousand_lesions_take_seconds() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(48, size=4000)
    nodes = {"malignant": NodeScores(rng.random(4000), truth % 2)}
    one = Scored(rng.dirichlet(np.ones(48), 4000), truth, nodes)
    start = time.process_time()
    sample(one.statistics(), np.arange(4000), resamples=1000, seed=0)
    assert time.process_time() - start < 5
