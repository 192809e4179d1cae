"""Are cuts those of the best F1, is folding exact, and does the pull help where classes are rare?"""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from core.errors import CohortError
from dxtree.evaluation.counting import official_f1
from dxtree.evaluation.metrics import value_of
from dxtree.evaluation.thresholds import PULL, Thresholds, fit_thresholds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def drawn(seed: int, rows: int, places: int = 12) -> tuple[Floats, Ints]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=rows)
    scores = rng.dirichlet(np.ones(4), rows) + rng.random((rows, 1)) * np.eye(4)[truth]
    return (scores / scores.sum(axis=1, keepdims=True)).round(places).clip(0, 1), truth


def f1_of(scores: Floats, truth: Ints, cuts: Floats) -> Floats:
    return np.array(
        [f1_score(truth == c, scores[:, c] > cuts[c], zero_division=0) for c in range(scores.shape[1])]
    )


@settings(max_examples=12, deadline=None)
@example(seed=62401198, rows=4, places=1)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 25), places=st.sampled_from([1, 12]))
def test_without_a_pull_no_other_cut_has_a_better_f1(seed: int, rows: int, places: int) -> None:
    scores, truth = drawn(seed, rows, places)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dxtree.evaluation.thresholds.PULL", 0.0 + 1e-300)
        found = fit_thresholds(scores, truth)
    own = f1_of(scores, truth, found.cuts)
    for c in np.unique(truth):
        # No cut takes a score of 0: what is impossible is never called.
        tried = np.unique(scores[:, c][scores[:, c] > 0])
        others = [f1_score(truth == c, scores[:, c] >= t, zero_division=0) for t in tried]
        assert own[c] == pytest.approx(max(others, default=0.0), abs=1e-12)
    assert found.lesions.tolist() == np.bincount(truth, minlength=4).tolist()
    assert found.cuts[3] == 0.5


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 60), places=st.sampled_from([1, 12]))
def test_folding_calls_exactly_what_the_cuts_call_and_keeps_the_order(
    seed: int, rows: int, places: int
) -> None:
    scores, truth = drawn(seed, rows, places)
    found = fit_thresholds(scores, truth)
    folded = found.fold(scores)
    assert ((folded > 0.5) == (scores > found.cuts)).all()
    assert (folded >= 0).all()
    assert (folded <= 1).all()
    order = np.argsort(scores, axis=0, kind="stable")
    assert (np.diff(np.take_along_axis(folded, order, axis=0), axis=0) >= 0).all()
    calls = f1_of(scores, truth, found.cuts)
    present = np.isin(np.arange(4), truth) | (scores > found.cuts).any(axis=0)
    expected = np.where(present, calls, 1).mean()
    assert value_of(official_f1(folded, truth), rows) == pytest.approx(expected, abs=1e-12)


def test_folding_by_hand() -> None:
    cuts = Thresholds(np.array([0.2, 0.5]), np.array([3, 3]))
    scores = np.array([[0.0, 0.0], [0.1, 0.25], [0.2, 0.5], [0.6, 0.75], [1.0, 1.0]])
    folded = cuts.fold(scores)
    assert folded[:, 0] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert (folded[:, 1] == scores[:, 1]).all()
    just_above = np.nextafter(cuts.cuts, 1)[None, :]
    assert (cuts.fold(just_above) > 0.5).all()
    assert (cuts.fold(cuts.cuts[None, :]) == 0.5).all()


def test_a_cut_is_pulled_towards_one_half_by_the_lesions_that_it_lacks() -> None:
    # Five lesions of the class at .2, 95 others at .1: the best cut is .15, half way in log odds is .2957.
    scores = np.repeat([0.2, 0.1], [5, 95])[:, None] * np.array([1.0, 0.5])
    truth = np.repeat([0, 1], [5, 95])
    found = fit_thresholds(scores, truth)
    odds = np.log(0.15 / 0.85) * 5 / (5 + PULL)
    assert found.cuts[0] == pytest.approx(1 / (1 + np.exp(-odds)))
    many = fit_thresholds(np.repeat(scores, 200, axis=0), np.repeat(truth, 200))
    assert many.cuts[0] == pytest.approx(0.15, abs=0.002)


def test_scores_of_0_and_1_alone_give_cuts_inside() -> None:
    scores, truth = np.eye(3)[[0, 1, 0, 1]], np.array([0, 1, 1, 0])
    found = fit_thresholds(scores, truth)
    assert ((found.cuts > 0) & (found.cuts < 1)).all()
    assert np.isfinite(found.fold(scores)).all()
    nothing = fit_thresholds(np.zeros((2, 2)), np.array([0, 1]))
    assert np.isfinite(nothing.fold(np.zeros((2, 2)))).all()
    assert fit_thresholds(np.zeros((0, 2)), np.zeros(0, np.int64)).cuts.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("scores", "truth", "match"),
    [
        (np.zeros((2, 2)), np.array([0]), "one a lesion"),
        (np.zeros((2, 2)), np.array([0, 2]), "none of the 2 classes"),
        (np.zeros((2, 2)), np.array([0, -1]), "none of the 2 classes"),
        (np.full((2, 2), 1.1), np.array([0, 1]), r"not in \[0, 1\]"),
        (np.full((2, 2), np.nan), np.array([0, 1]), r"not in \[0, 1\]"),
    ],
)
def test_what_is_no_probability_or_no_class_is_refused(scores: Floats, truth: Ints, match: str) -> None:
    with pytest.raises(CohortError, match=match):
        fit_thresholds(scores, truth)


def test_folding_other_classes_is_refused() -> None:
    with pytest.raises(CohortError, match="lesions x 2 classes"):
        Thresholds(np.array([0.5, 0.5]), np.array([1, 1])).fold(np.zeros((3, 4)))


SHARES = np.array([2522, 743, 544, 473, 450, 303, 52, 50, 47, 44, 9]) / 5237
"""Shares of eleven classes as skin clinics have them: one in two, to one in 600."""

TEMPERED = {
    "calibrated": (1.0, 1.0),
    "even prior": (1.0, 0.0),
    "half the prior": (1.0, 0.5),
    "overconfident": (2.0, 2.0),
    "underconfident": (0.5, 0.5),
}
"""Setting to the powers of likelihood and prior."""


def simulated(rng: np.random.Generator, centres: Floats, rows: int, setting: str) -> tuple[Floats, Ints]:
    """Normal clouds about class centres in six dimensions, and Bayes' rule with both powers."""
    truth = rng.choice(11, rows, p=SHARES)
    points = centres[truth] + rng.standard_normal((rows, 6))
    likelihood = -((points[:, None, :] - centres[None]) ** 2).sum(axis=2) / 2
    sharp, prior = TEMPERED[setting]
    logits = sharp * likelihood + prior * np.log(SHARES)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True), truth


@pytest.mark.slow
def test_the_chosen_pull_gains_in_every_setting_and_no_pull_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prints the table of the reference page: macro F1 on 8,000 new lesions less that of one half."""
    pulls, sizes = (1e-300, 2.0, 5.0, 10.0, 20.0, 50.0), (300, 1000, 3000)
    gains: dict[tuple[float, str, int], list[float]] = {}
    for repeat in range(40):
        rng = np.random.default_rng(repeat)
        centres = 1.3 * rng.standard_normal((11, 6))
        for setting in TEMPERED:
            for size in sizes:
                fitted = simulated(rng, centres, size, setting)
                scores, truth = simulated(rng, centres, 8000, setting)
                half = value_of(official_f1(scores, truth), 8000)
                for pull in pulls:
                    monkeypatch.setattr("dxtree.evaluation.thresholds.PULL", pull)
                    folded = fit_thresholds(*fitted).fold(scores)
                    gain = value_of(official_f1(folded, truth), 8000) - half
                    gains.setdefault((pull, setting, size), []).append(gain)
    mean = {key: float(np.mean(values)) for key, values in gains.items()}
    for pull in pulls:
        row = [f"{100 * mean[pull, s, n]:+.1f}" for s in TEMPERED for n in sizes]
        total = np.mean([mean[pull, s, n] for s in TEMPERED for n in sizes])
        sys.stdout.write(f"| {pull:.0f} | {' | '.join(row)} | {100 * total:+.2f} |\n")
    worst = {pull: min(mean[pull, s, n] for s in TEMPERED for n in sizes) for pull in pulls}
    whole = {pull: sum(mean[pull, s, n] for s in TEMPERED for n in sizes) for pull in pulls}
    assert worst[PULL] > 0
    assert worst[1e-300] < -0.01
    assert max((p for p in pulls if worst[p] > 0), key=whole.__getitem__) == PULL
