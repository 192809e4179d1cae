"""How much faster are resamples as matrix products than as a loop over scikit-learn, for the same metrics?

    OMP_NUM_THREADS=1 python benchmarks/bootstrap.py --resamples 10000 --lesions 4000 --classes 11

Both compute every metric of `ALL_METRICS` on the same resamples; the loop, on the first few of them, its time
scaled up. Values are compared before anything is timed. One thread.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from dxtree.evaluation import ALL_METRICS, NodeScores, Scored
from dxtree.evaluation.calibration import calibration_error
from dxtree.evaluation.intervals import draw_weights, sample
from dxtree.evaluation.metrics import value_of

Floats = npt.NDArray[np.float64]


def lesions(rows: int, classes: int) -> Scored:
    """Probabilities that are more often right than wrong, half of the classes malignant."""
    rng = np.random.default_rng(0)
    share = 0.7 ** np.arange(classes)
    truth = rng.choice(classes, rows, p=share / share.sum())
    logits = rng.standard_normal((rows, classes)) + 1.5 * np.eye(classes)[truth]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    nodes = {"malignant": NodeScores(scores[:, 1::2].sum(axis=1), truth % 2)}
    apart = 2.0 * (1 - np.eye(classes))
    return Scored(scores, truth, nodes, apart)


def by_sklearn(given: Scored) -> dict[str, float]:
    """The same metrics on the drawn rows, by scikit-learn or numpy; ECE, which neither has, by our own."""
    truth, scores = given.truth, given.scores
    answer = scores.argmax(axis=1)
    present = np.unique(truth)
    among: dict[str, Any] = {"labels": present, "average": "macro", "zero_division": 0}
    ill, risk = given.nodes["malignant"].truth, given.nodes["malignant"].scores
    false, true, _ = roc_curve(ill, risk, drop_intermediate=False)
    one_hot = np.eye(scores.shape[1])[truth]
    distances = given.distances
    assert distances is not None  # noqa: S101
    called = [f1_score(one_hot[:, c], scores[:, c] > 0.5, zero_division=1) for c in range(scores.shape[1])]
    return {
        "accuracy": float(accuracy_score(truth, answer)),
        "balanced_accuracy": float(recall_score(truth, answer, **among)),
        "auc_malignant": float(roc_auc_score(ill, risk)),
        "brier": float(((scores - one_hot) ** 2).sum(axis=1).mean()),
        "ece": value_of(calibration_error(scores.max(axis=1), answer == truth), len(truth)),
        "macro_f1": float(f1_score(truth, answer, **among)),
        "official_f1": float(np.mean(called)),
        "macro_auc": float(np.mean([roc_auc_score(truth == c, scores[:, c]) for c in present])),
        "macro_average_precision": float(
            np.mean([average_precision_score(truth == c, scores[:, c]) for c in present])
        ),
        "log_loss": float(log_loss(truth, scores, labels=range(scores.shape[1]))),
        "tree_distance": float(distances[answer, truth].mean()),
        "average_precision_malignant": float(average_precision_score(ill, risk)),
        "sensitivity_at_90_malignant": float(true[false <= 0.1 + 1e-12].max()),
        "sensitivity_at_95_malignant": float(true[false <= 0.05 + 1e-12].max()),
        "specificity_at_95_malignant": float(1 - false[true >= 0.95 - 1e-12].min()),
    }


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one processor in one call: what neighbours on the machine do does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Prints seconds of each way, their ratio and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--lesions", type=int, default=4000)
    parser.add_argument("--classes", type=int, default=11)
    parser.add_argument("--looped", type=int, default=20, help="resamples that the loop does")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", UndefinedMetricWarning)
    warnings.simplefilter("ignore", UserWarning)
    given = lesions(chosen.lesions, chosen.classes)
    groups = np.arange(chosen.lesions)
    statistics = given.statistics()
    weights = next(iter(draw_weights(groups, chosen.looped, 0))).astype(np.int64)
    drawn = [given.select(np.repeat(groups, weights[:, k])) for k in range(weights.shape[1])]
    found = sample(statistics, groups, resamples=chosen.looped, seed=0)
    for k, one in enumerate(drawn):
        expected = by_sklearn(one)
        worst = max(abs(found[m.name].draws[k] - expected[m.name]) for m in ALL_METRICS)
        if worst > 1e-9:
            raise SystemExit(f"the two ways differ by {worst}")
    loop = seconds(lambda: [by_sklearn(given.select(np.repeat(groups, w))) for w in weights.T])
    scaled = loop / len(drawn) * chosen.resamples
    fast = seconds(lambda: sample(statistics, groups, resamples=chosen.resamples, seed=0))
    jackknife = seconds(lambda: sample(statistics, groups, resamples=1, seed=0, jackknife=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(ALL_METRICS)} metrics, {chosen.lesions} lesions, {chosen.classes} classes, one thread")
    print(f"loop over scikit-learn: {loop / len(drawn):.3f} s a resample, {scaled:.0f} s for all, scaled")
    print(f"matrix products: {fast:.1f} s for {chosen.resamples}; jackknife {jackknife:.1f} s")
    print(f"ratio {scaled / fast:.0f}; memory at most {peak:.0f} MB, imports included")


if __name__ == "__main__":
    main()
