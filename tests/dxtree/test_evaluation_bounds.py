"""Are BCa intervals those of scipy and of the book, do they cover, and is their absence explained?"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.errors import CohortError
from dxtree.evaluation.bounds import Sampled, bounds
from dxtree.evaluation.intervals import difference, group_index, interval, jackknife_weights, sample
from dxtree.evaluation.metrics import ALL_METRICS, NodeScores, Scored, value_of
from dxtree.evaluation.ranking import auc
from dxtree.evaluation.weighted import Statistic, ratio, weighted_mean

Floats = npt.NDArray[np.float64]

ACCURACY, ECE = (m for m in ALL_METRICS if m.name in ("accuracy", "ece"))

SPATIAL = (
    48,
    36,
    20,
    29,
    42,
    42,
    20,
    42,
    22,
    41,
    45,
    14,
    6,
    0,
    33,
    28,
    34,
    4,
    32,
    24,
    47,
    41,
    24,
    26,
    30,
    41,
)
"""Test A of 26 neurologically impaired children (Efron and Tibshirani 1993, table 14.1)."""


def variance(values: Floats) -> Statistic:
    first, second = weighted_mean(values), weighted_mean(values**2)
    return lambda weights: second(weights) - first(weights) ** 2


def skewed(seed: int, rows: int = 40) -> Floats:
    return np.random.default_rng(seed).beta(0.4, 3, rows)


def of_scipy(values: Floats, draws: Floats) -> tuple[float, float]:
    found = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=0,
        bootstrap_result=SimpleNamespace(bootstrap_distribution=draws),
        method="BCa",
        vectorized=True,
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(15, 80))
def test_bca_of_a_mean_is_that_of_scipy_on_the_same_resamples(seed: int, rows: int) -> None:
    values = skewed(seed, rows)
    one = sample({0: weighted_mean(values)}, np.arange(rows), resamples=300, seed=1, jackknife=True)[0]
    found = bounds(one, "bca")
    assert found is not None
    assert found.reason is None
    assert (found.low, found.high) == pytest.approx(of_scipy(values, one.draws), abs=1e-10)
    plain = bounds(one, "percentile")
    assert plain is not None
    assert (plain.low, plain.high) != (found.low, found.high)


def test_bca_of_the_spatial_data_is_that_of_the_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dxtree.evaluation.bounds.CONFIDENCE", 0.90)
    values = np.array(SPATIAL, float)
    one = sample({0: variance(values)}, np.arange(26), resamples=40_000, seed=0, jackknife=True)[0]
    assert one.value == pytest.approx(171.5, abs=0.05)
    plain, corrected = bounds(one, "percentile"), bounds(one, "bca")
    assert plain is not None
    assert corrected is not None
    assert (plain.low, plain.high) == pytest.approx((100.8, 233.9), abs=5)
    assert (corrected.low, corrected.high) == pytest.approx((115.8, 259.6), abs=4)


def test_jackknife_leaves_out_one_whole_lesion_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = group_index(["a", "b", "a", "c"])
    weights = np.concatenate(list(jackknife_weights(groups)), axis=1)
    assert weights.T.tolist() == [[0, 1, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]]
    monkeypatch.setattr("dxtree.evaluation.intervals._CELLS", 4)
    assert (np.concatenate(list(jackknife_weights(groups)), axis=1) == weights).all()


def test_rows_of_one_lesion_count_once_for_the_acceleration() -> None:
    values = skewed(3)
    twice, groups = np.repeat(values, 2), np.repeat(np.arange(40), 2)
    options = {"resamples": 200, "seed": 5, "jackknife": True}
    single = interval(sample({0: weighted_mean(values)}, np.arange(40), **options)[0], ACCURACY, method="bca")
    double = interval(sample({0: weighted_mean(twice)}, groups, **options)[0], ACCURACY, method="bca")
    assert (double.low, double.high) == pytest.approx((single.low, single.high), abs=1e-12)


def test_jackknife_of_every_metric_is_the_metric_without_the_lesion() -> None:
    rng = np.random.default_rng(7)
    truth = rng.integers(3, size=25)
    nodes = {"malignant": NodeScores(rng.random(25), truth % 2)}
    given_ = Scored(rng.dirichlet(np.ones(3), 25), truth, nodes, np.ones((3, 3)))
    found = sample(given_.statistics(), np.arange(25), resamples=5, seed=0, jackknife=True)
    for k in (0, 13, 24):
        less = given_.select(np.delete(np.arange(25), k)).statistics()
        for name, one in found.items():
            assert one.left_out is not None
            assert one.left_out[k] == pytest.approx(value_of(less[name], 24), abs=1e-12)


def test_paired_bca_takes_the_jackknife_of_the_difference() -> None:
    rng = np.random.default_rng(8)
    first, second = rng.beta(0.5, 4, 60), rng.beta(0.4, 4, 60)
    statistics = {"a": weighted_mean(first), "b": weighted_mean(second)}
    found = sample(statistics, np.arange(60), resamples=400, seed=0, jackknife=True)
    between, _ = difference(found["a"], found["b"], ACCURACY, "bca")
    expected = of_scipy(first - second, found["a"].draws - found["b"].draws)
    assert (between.low, between.high) == pytest.approx(expected, abs=1e-10)
    assert between.reason is None


def flat(value: float, draws: Floats, left_out: Floats) -> str | None:
    found = bounds(Sampled(value, draws, left_out), "bca")
    plain = bounds(Sampled(value, draws), "percentile")
    assert found is not None
    assert plain is not None
    assert (found.low, found.high) == (plain.low, plain.high)
    return found.reason


def test_bca_falls_back_to_percentiles_and_says_why() -> None:
    draws, apart = np.linspace(0.4, 0.6, 101), np.linspace(0.49, 0.51, 9)
    assert flat(0.5, np.full(50, 0.5), apart) == "percentiles, not BCa: all resamples are equal"
    assert "one side" in str(flat(0.7, draws, apart))
    assert "one side" in str(flat(0.3, draws, apart))
    assert "changes nothing" in str(flat(0.5, draws, np.full(9, 0.5)))
    assert "without one of the lesions" in str(flat(0.5, draws, np.append(apart, np.nan)))
    outlier = np.append(np.full(10_000, 0.5), 0.4)
    nearly = np.append(np.linspace(0.4, 0.49, 99_999), 0.6)
    assert "acceleration is too large" in str(flat(0.5, nearly, outlier))
    one = interval(Sampled(0.5, np.full(50, 0.5), apart), ACCURACY, method="bca")
    assert (one.low, one.high) == (0.5, 0.5)
    assert "all resamples are equal" in str(one.to_dict()["reason"])


def test_bca_without_the_jackknife_is_refused() -> None:
    with pytest.raises(CohortError, match="jackknife=True"):
        bounds(Sampled(0.5, np.linspace(0, 1, 11)), "bca")


def test_a_biased_metric_keeps_the_basic_interval_whatever_is_asked() -> None:
    one = Sampled(0.10, np.linspace(0.11, 0.17, 601))
    assert interval(one, ECE, method="bca") == interval(one, ECE)


def test_draws_equal_to_the_value_count_half() -> None:
    # Half of the draws equal the value but for rounding, as many lie below as above: no bias at all.
    tail = np.linspace(0.01, 0.1, 250)
    draws = 0.5 + np.concatenate([-tail, np.zeros(250), np.full(250, 1e-16), tail])
    one = Sampled(0.5, draws, np.array([0.4, 0.5, 0.6]))
    corrected, plain = bounds(one, "bca"), bounds(one, "percentile")
    assert corrected is not None
    assert plain is not None
    assert (corrected.low, corrected.high) == pytest.approx((plain.low, plain.high), abs=1e-12)
    assert corrected.reason is None


def test_no_bounds_where_most_resamples_are_undefined() -> None:
    draws = np.where(np.arange(100) < 60, np.nan, 0.5)
    assert bounds(Sampled(0.5, draws, draws), "bca") is None


@pytest.mark.slow
def test_bca_covers_95_of_100_and_is_more_even_than_percentiles() -> None:
    """Ratio of two means and an area near 1, skewed, on 60 lesions; prints the table of the page."""
    rng = np.random.default_rng(0)
    normal = float(stats.norm.cdf(1.8 / np.sqrt(2)))
    outside: dict[tuple[str, str], list[int]] = {}
    for seed in range(1000):
        truth = np.repeat([0, 1], [40, 20])
        scores = rng.standard_normal(60) + 1.8 * truth
        values, sizes = rng.gamma(0.7, 1, 60), rng.uniform(0.5, 1.5, 60)

        def mean_ratio(weights: Floats, values: Floats = values, sizes: Floats = sizes) -> Floats:
            return ratio(values @ weights, sizes @ weights)

        statistics = {"area": auc(scores, truth), "ratio": mean_ratio}
        found = sample(statistics, np.arange(60), resamples=999, seed=seed, jackknife=True)
        for name, true in (("area", normal), ("ratio", 0.7)):
            for method in ("percentile", "bca"):
                one = bounds(found[name], method)  # type: ignore[arg-type]
                assert one is not None
                cell = outside.setdefault((name, method), [0, 0])
                cell[0] += true < one.low
                cell[1] += true > one.high
    for (name, method), (under, over) in outside.items():
        sys.stdout.write(f"| {name} | {method} | {under} | {over} | {1000 - under - over} |\n")
        if method == "bca":
            assert 0.90 <= 1 - (under + over) / 1000 <= 0.975
    for name in ("area", "ratio"):
        uneven = {m: abs(outside[name, m][0] - outside[name, m][1]) for m in ("percentile", "bca")}
        assert uneven["bca"] < uneven["percentile"]
