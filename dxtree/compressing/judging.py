"""What do the ways to store a net cost in accuracy on lesions held out of training?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.cohort import Lesion
from core.errors import CohortError
from core.tree import FloatArray
from dxtree.compressing.rivals import DENSE
from dxtree.evaluation.bounds import Sampled, bounds
from dxtree.evaluation.intervals import Interval, group_index, sample
from dxtree.evaluation.labels import UNKNOWN
from dxtree.evaluation.weighted import Statistic, weighted_mean
from dxtree.exporting.checking import Answers, by_lesion
from dxtree.exporting.truth import Judged

METRICS = ("accuracy", "balanced_accuracy", "auc")


@dataclass(frozen=True)
class Scored:
    """Metrics of one net with 95 % intervals, and their changes against the dense net, by metric.

    `same_answer`: share of the images for which it names the class that the dense net names. `fault`: code of
    the error that ended its answers; there are then no metrics.
    """

    values: Mapping[str, Interval]
    changes: Mapping[str, Interval]
    same_answer: float | None = None
    fault: str | None = None


def score(
    answers: Answers, judged: Judged, lesions: Sequence[Lesion], *, resamples: int, seed: int
) -> dict[str, Scored]:
    """Of every net that answered; a lesion's answer is the mean over its images.

    Intervals are percentiles over resamples of lesions, the same for all nets; rows of one lesion in two
    cohorts go together. Raises `CohortError` where the dense net did not answer.
    """
    if DENSE not in answers.values or not answers.owner:
        raise CohortError(f"the dense net did not answer ({answers.faults.get(DENSE, 'no image')})")
    kept = sorted(set(answers.owner))
    part = judged.select(np.array(kept, np.int64))
    groups = group_index([lesions[k].lesion for k in kept])
    statistics = {
        (name, key): statistic
        for name, values in answers.values.items()
        for key, statistic in _statistics(part, by_lesion(values, answers.owner, kept)).items()
    }
    sampled = sample(statistics, groups, resamples=resamples, seed=seed)
    dense = answers.values[DENSE].argmax(axis=1)
    found = {name: Scored({}, {}, fault=code) for name, code in answers.faults.items()}
    for name, values in answers.values.items():
        own = {key: sampled[name, key] for key in METRICS}
        changes = {key: own[key].minus(sampled[DENSE, key]) for key in METRICS}
        found[name] = Scored(
            {key: _interval(value) for key, value in own.items()},
            {key: _interval(value) for key, value in changes.items()},
            float((values.argmax(axis=1) == dense).mean()),
        )
    return found


def _statistics(judged: Judged, values: FloatArray) -> dict[str, Statistic]:
    rows = np.flatnonzero(judged.truth != UNKNOWN)
    correct = (values.argmax(axis=1) == judged.truth)[rows].astype(np.float64)
    mean = weighted_mean(correct)
    return {"accuracy": lambda weights: mean(weights[rows]), **judged.statistics(values)}


def _interval(sampled: Sampled) -> Interval:
    if not np.isfinite(sampled.value):
        return Interval(None, None, None, "not defined on these lesions")
    found = bounds(sampled, "percentile")
    if found is None:
        return Interval(sampled.value, None, None, "most resamples do not define it")
    return Interval(float(sampled.value), found.low, found.high, found.reason)
