"""Do the tests agree with statsmodels and with brute force, keep their level, and refuse dependent rows?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from core.errors import CohortError
from dxtree.evaluation.bounds import Sampled
from dxtree.evaluation.intervals import difference, sample
from dxtree.evaluation.metrics import METRICS, Metric
from dxtree.evaluation.significance import bootstrap_p, delong, holm, mcnemar
from dxtree.evaluation.weighted import weighted_mean

Floats = npt.NDArray[np.float64]


def answers(both: int, only_first: int, only_second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    counts = [both, only_first, only_second, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([True, False, True, False], counts)


@settings(max_examples=60, deadline=None)
@given(table=st.tuples(*(st.integers(0, 60) for _ in range(4))))
def test_mcnemar_is_that_of_statsmodels(table: tuple[int, int, int, int]) -> None:
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    first, second = answers(*table)
    found = mcnemar(first, second, range(len(first)))
    both, only_first, only_second, neither = table
    assert (found.only_first, found.only_second) == (only_first, only_second)
    judge = contingency.mcnemar([[both, only_first], [only_second, neither]], exact=True)
    assert found.exact == pytest.approx(judge.pvalue, abs=1e-12)
    assert 0 < found.mid <= found.exact


def test_mid_p_of_mcnemar_is_as_published() -> None:
    # Fagerland, Lydersen and Laake (2013), airway hyper-responsiveness: 1 and 7; exact .0703, mid-p .0391.
    found = mcnemar(*answers(1, 1, 7, 12), range(21))
    assert found.exact == pytest.approx(0.0703, abs=5e-5)
    assert found.mid == pytest.approx(0.0391, abs=5e-5)


def test_answers_that_are_right_on_the_same_lesions_do_not_differ() -> None:
    first, _ = answers(5, 4, 0, 0)
    assert (mcnemar(first, first, range(9)).exact, mcnemar(first, first, range(9)).mid) == (1, 0.5 * 2)


def by_pairs(scores: Floats, truth: np.ndarray) -> tuple[Floats, Floats]:
    """DeLong's structural components by comparing every pair, and their covariance."""
    ones, zeros = scores[:, truth == 1], scores[:, truth == 0]
    won = (ones[:, :, None] > zeros[:, None, :]) + 0.5 * (ones[:, :, None] == zeros[:, None, :])
    first, second = won.mean(axis=2), won.mean(axis=1)
    covariance = np.cov(first) / ones.shape[1] + np.cov(second) / zeros.shape[1]
    return won.mean(axis=(1, 2)), covariance


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(6, 60),
    places=st.sampled_from([1, 12]),
)
def test_delong_is_that_of_every_pair(seed: int, rows: int, places: int) -> None:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([[0, 0, 1, 1, -1], rng.integers(-1, 2, size=rows - 5)])
    scores = (rng.standard_normal((2, rows)) + 0.8 * truth).round(places)
    found = delong(*scores, truth, range(rows))
    areas, covariance = by_pairs(scores, truth)
    assert (found.first.value, found.second.value) == pytest.approx(tuple(areas), abs=1e-12)
    known = truth >= 0
    assert found.first.value == pytest.approx(roc_auc_score(truth[known], scores[0][known]), abs=1e-12)
    deviation = np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0))
    half = (found.difference.high - found.difference.low) / 2  # type: ignore[operator]
    if abs(areas[0] - areas[1]) + 2 * deviation < 1:
        assert half == pytest.approx(1.959964 * deviation, abs=1e-6)
    assert found.p is None or 0 <= found.p <= 1


def test_delong_is_that_of_mlstatkit() -> None:
    kit = pytest.importorskip("MLstatkit")
    rng = np.random.default_rng(5)
    truth = rng.integers(2, size=200)
    scores = rng.random((2, 200)).round(2) + 0.3 * truth
    found = delong(*scores, truth, range(200))
    _, p, *_ = kit.Delong_test(truth, *scores)
    assert found.p == pytest.approx(p, abs=1e-9)


def test_delong_of_equal_scores_and_of_scores_without_spread() -> None:
    truth = np.repeat([0, 1], 5)
    scores = np.array([1, 5, 2, 3, 9, 4, 8, 7, 6, 10.0])
    same = delong(scores, scores, truth, range(10))
    assert (same.p, same.difference.value, same.difference.low, same.difference.high) == (1, 0, 0, 0)
    apart = delong(truth.astype(float), 1.0 - truth, truth, range(10))
    assert (apart.difference.value, apart.p) == (1, None)


@pytest.mark.parametrize(
    ("count", "truth", "match"),
    [
        (4, [0, 1, 1, 1], "1 negative lesions; two of each"),
        (4, [0, 0, 1, -1], "1 positive"),
        (5, [0, 0, 1, 1], "one row a lesion"),
    ],
)
def test_delong_refuses_what_it_cannot_judge(count: int, truth: list[int], match: str) -> None:
    scores = np.arange(float(count))
    with pytest.raises(CohortError, match=match):
        delong(scores, scores, np.array(truth), range(count))
    with pytest.raises(CohortError, match="not finite"):
        delong(np.array([np.nan, 1, 2, 3]), np.arange(4.0), np.array([0, 0, 1, 1]), range(4))


def test_two_rows_of_one_lesion_are_refused_and_told_of_the_bootstrap() -> None:
    right = np.ones(3, bool)
    with pytest.raises(CohortError, match=r"1 rows repeat a lesion.*bootstrap_p"):
        mcnemar(right, right, ["a", "b", "a"])
    with pytest.raises(CohortError, match="bootstrap_p"):
        delong(np.arange(3.0), np.arange(3.0), np.array([0, 1, 1]), ["a", "a", "b"])


@pytest.mark.parametrize("seed", range(4))
def test_holm_is_that_of_statsmodels(seed: int) -> None:
    """On four tables alone: statsmodels collects garbage in every call."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    ps = [None, *(np.random.default_rng(seed).random(3 + 5 * seed) ** 4).round(2).tolist(), None]
    found = holm(dict(enumerate(ps)))
    assert list(found) == list(range(len(ps)))
    assert (found.pop(0), found.pop(len(ps) - 1)) == (None, None)
    judge = multitest.multipletests(ps[1:-1], method="holm")[1]
    assert list(found.values()) == pytest.approx(judge.tolist(), abs=1e-12)


def test_holm_by_hand_and_without_a_p() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": None}) == {"a": None}
    assert holm({}) == {}
    with pytest.raises(CohortError, match="outside"):
        holm({"a": 1.5})


ACCURACY = METRICS[0]


def test_bootstrap_p_is_twice_the_share_beyond_zero() -> None:
    # Of five differences one is below zero and one is zero, which counts half; half a resample is added.
    first, second = Sampled(0.6, 0.5 + np.array([-0.1, 0, 0.1, 0.2, 0.3])), Sampled(0.5, np.full(5, 0.5))
    assert bootstrap_p(first, second, ACCURACY) == pytest.approx(2 * (1.5 + 0.5) / 6)
    assert bootstrap_p(second, first, ACCURACY) == pytest.approx(2 * (1.5 + 0.5) / 6)
    assert bootstrap_p(first, first, ACCURACY) == 1
    assert bootstrap_p(first, Sampled(-9.0, np.full(5, -9.0)), ACCURACY) == pytest.approx(1 / 6)


def test_bootstrap_p_is_none_where_most_resamples_define_nothing() -> None:
    gaps = Sampled(0.5, np.array([np.nan, np.nan, np.nan, 0.5]))
    assert bootstrap_p(gaps, Sampled(0.4, np.full(4, 0.4)), ACCURACY) is None
    assert bootstrap_p(Sampled(float("nan"), np.full(4, 0.1)), gaps, ACCURACY) is None
    some = Sampled(0.5, np.array([np.nan, 0.5, 0.5, 0.5]))
    assert bootstrap_p(some, Sampled(0.4, np.full(4, 0.4)), ACCURACY) == 1 / 4


@pytest.mark.parametrize(
    "metric", [m for m in METRICS if m.name in ("accuracy", "ece")], ids=lambda m: m.name
)
@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_p_is_below_a_twentieth_just_where_the_interval_excludes_zero(metric: Metric, method: str) -> None:
    rng = np.random.default_rng(3)
    called = 0
    for seed in range(150):
        base = rng.exponential(size=60)
        columns = {k: weighted_mean(base + rng.normal(0.1 * k, 0.4, 60)) for k in (0, 1)}
        found = sample(columns, np.arange(60), resamples=400, seed=seed, jackknife=True)
        between, verdict = difference(found[1], found[0], metric, method)  # type: ignore[arg-type]
        p = bootstrap_p(found[1], found[0], metric, method)  # type: ignore[arg-type]
        assert p is not None
        if abs(p - 0.05) > 0.01:  # half a resample apart at the very edge
            assert (p < 0.05) == (verdict != "no difference"), (p, between)
            called += verdict != "no difference"
    assert 5 < called < 145


def test_bootstrap_p_keeps_its_level_and_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(0)
    errors = agree = 0
    for seed in range(300):
        base = rng.random(120)
        columns = {k: weighted_mean((base + rng.normal(0, 0.3, 120) > 0.5).astype(float)) for k in (0, 1)}
        found = sample(columns, np.arange(120), resamples=300, seed=seed)
        p = bootstrap_p(found[0], found[1], ACCURACY)
        assert p is not None
        errors += p < 0.05
        agree += (p < 0.05) == (difference(found[0], found[1], METRICS[0])[1] != "no difference")
    assert 4 <= errors <= 27
    assert agree >= 285
