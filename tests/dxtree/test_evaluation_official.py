"""Does the official form of the ISIC challenges come out as the official scorer says?

`OFFICIAL` was printed by `python tests/dxtree/test_evaluation_official.py` where isic-challenge-scoring 5.6.0
ran (Python 3.11, pandas 2.1); on pandas 3 it fails. The scorer itself is asked wherever it works.
"""

from __future__ import annotations

import io
import sys
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from dxtree.evaluation import Scored
from dxtree.evaluation.metrics import value_of

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SEEDS = range(8)
OFFICIAL: dict[int, tuple[float, ...]] = {
    0: (0.3216374269005848, 0.8687614468864469, 0.6667539479710367, 0.5196886446886447),
    1: (0.28221153846153846, 0.9162851037851037, 0.8251999605439413, 0.7490842490842491),
    2: (0.32002801120448177, 0.8506121515776688, 0.6316685983694498, 0.46806526806526805),
    3: (0.293609022556391, 0.9181569005706937, 0.8194085738822581, 0.8407925407925407),
    4: (0.2965686274509804, 0.6450464739938424, 0.5193997312244982, 0.49305957200694045),
    5: (0.17063492063492064, 0.8834380306295715, 0.7785113195269445, 0.7618371212121212),
    6: (0.5996503496503496,),
    7: (0.348110661268556,),
}
"""Seed of the input to the scorer's mean dice, area, average precision and balanced accuracy; dice alone
where a class does not occur, since the scorer as a whole stops there."""


def lesions(seed: int) -> tuple[Floats, Ints]:
    """Probabilities and truth of 40 lesions and four classes: each class occurs, the last is rarely likely.

    From seed 6 on the last class does not occur and is never called.

    Odd seeds have tied probabilities, many of them exactly one half. No row has two largest ones, which the
    scorer counts as wrong, whatever the truth.
    """
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(4), rng.integers(3, size=36)])
    scores = rng.dirichlet(np.ones(4), 40) + 0.6 * np.eye(4)[truth] * rng.random((40, 1))
    scores /= scores.sum(axis=1, keepdims=True)
    scores[:, 3] *= 0.5
    if seed >= 6:
        truth[3] = 0
    if seed % 2:
        scores = np.round(scores * 10) / 10
        ordered = np.sort(scores, axis=1)
        scores[np.arange(40), scores.argmax(axis=1)] += 0.1 * (ordered[:, -1] == ordered[:, -2])
        scores[:6, :] = np.eye(4)[truth[:6]] * 0.5 + 0.1
        scores[:6][scores[:6] > 0.5] = 0.5
    return scores, truth


def officially(scores: Floats, truth: Ints) -> tuple[float, ...]:
    """What the scorer says."""
    from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore
    from isic_challenge_scoring.confusion import create_binary_confusion_matrix
    from isic_challenge_scoring.metrics import binary_dice

    width = scores.shape[1]
    if len(set(truth.tolist())) < width:
        tables = [create_binary_confusion_matrix(truth == k, scores[:, k] > 0.5) for k in range(width)]
        return (float(np.mean([binary_dice(t) for t in tables])),)
    header = ",".join(["image", *(f"c{k}" for k in range(width))])

    def table(rows: Floats) -> io.StringIO:
        lines = [",".join([f"i{k:03}", *(repr(float(v)) for v in row)]) for k, row in enumerate(rows)]
        return io.StringIO("\n".join([header, *lines]) + "\n")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ClassificationScore.from_stream(
            table(np.eye(width)[truth]), table(scores), ClassificationMetric.BALANCED_ACCURACY
        )
    macro = found.macro_average
    return float(macro["dice"]), float(macro["auc"]), float(macro["ap"]), float(found.overall)


def ours(scores: Floats, truth: Ints) -> tuple[float, ...]:
    found = {name: value_of(s, len(truth)) for name, s in Scored(scores, truth).statistics().items()}
    names = ("official_f1", "macro_auc", "macro_average_precision", "balanced_accuracy")
    return tuple(found[name] for name in names)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_official_form_equals_what_the_scorer_printed(seed: int) -> None:
    expected = OFFICIAL[seed]
    assert ours(*lesions(seed))[: len(expected)] == pytest.approx(expected, abs=1e-12)


def test_the_inputs_hold_what_tells_the_rules_apart() -> None:
    tied = [lesions(seed)[0] for seed in (1, 3, 5)]
    assert all((scores == 0.5).sum() >= 6 for scores in tied)
    assert all(2 * scores.max() > 1 for scores in tied)
    assert all(3 not in lesions(seed)[1] for seed in (6, 7))
    assert all((lesions(seed)[0][:, 3] <= 0.5).all() for seed in (6, 7))


def test_the_official_form_equals_the_scorer_where_that_runs() -> None:
    pytest.importorskip("isic_challenge_scoring", reason="isic-challenge-scoring is not installed")
    import pandas as pd

    if int(pd.__version__.partition(".")[0]) > 2:
        pytest.skip("isic-challenge-scoring 5.6.0 fails on pandas 3")
    for seed in range(20, 40):
        given = lesions(seed)
        expected = officially(*given)
        assert ours(*given)[: len(expected)] == pytest.approx(expected, abs=1e-12)


if __name__ == "__main__":
    for seed in SEEDS:
        sys.stdout.write(f"    {seed}: {officially(*lesions(seed))},\n")
