"""How sure are the numbers of many arms? Every arm on the same resamples of the same lesions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.cohort import Lesion
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.benchmark.workers import Workers
from dxtree.evaluation.bounds import Sampled
from dxtree.evaluation.calibration import calibrated_errors
from dxtree.evaluation.intervals import sample
from dxtree.evaluation.metrics import Metric, Scored
from dxtree.evaluation.subgroups import Subgroup, subgroups
from dxtree.evaluation.weighted import Statistic

BLOCKS = 300
"""Blocks of lesions that the jackknife behind BCa leaves out in turn; see `intervals.sample`."""

CHANCE_DRAWS = 500
"""Draws of a calibrated model's ECE: their mean is known to .001 with a few hundred lesions."""

FITTED_CUTS = Metric(
    "official_f1_fitted",
    "F1 at .5, fitted cuts",
    "official_f1 after each class's probability was bent so that its own cut, fitted on lesions of other "
    "folds, comes to lie at .5",
)
"""MILK10k's form with thresholds that the judged lesions did not choose."""

Samples = dict[tuple[str, str], Sampled]
"""(arm, metric) to its value and resamples."""


@dataclass(frozen=True)
class Portion:
    """Some arms to sample: scores and truth by arm, and official scores with fitted cuts, if any."""

    scored: Mapping[str, Scored]
    bent: Mapping[str, Scored]
    groups: IntArray
    resamples: int
    seed: int

    def only(self, arms: Sequence[str]) -> Portion:
        """The same for some of the arms."""
        bent = {a: self.bent[a] for a in arms if a in self.bent}
        return replace(self, scored={a: self.scored[a] for a in arms}, bent=bent)


@dataclass(frozen=True)
class Sampling:
    """What resamples make of each arm. `chance`: ECE that a calibrated model would show, by arm."""

    samples: Samples = field(default_factory=dict)
    chance: dict[str, FloatArray] = field(default_factory=dict)


def sample_arms(portion: Portion, workers: Workers) -> Sampling:
    """Every metric of every arm. Arms are shared out to the workers; who samples an arm changes no bit."""
    found = Sampling()
    parts = [portion.only(arms) for arms in _shares(list(portion.scored), workers)]
    for _, one in workers.each(_sampled, parts):
        found.samples.update(one.samples)
        found.chance.update(one.chance)
    return found


def group_arms(
    lesions: Sequence[Lesion], portion: Portion, workers: Workers
) -> dict[str, tuple[Subgroup, ...]]:
    """Subgroup tables of every arm."""
    parts = [(lesions, portion.only(arms)) for arms in _shares(list(portion.scored), workers)]
    found = {arm: rows for _, part in workers.each(_grouped, parts) for arm, rows in part.items()}
    return {arm: found[arm] for arm in portion.scored}


def _shares(arms: list[str], workers: Workers) -> list[list[str]]:
    """A few shares a worker, so that none waits long for the last."""
    count = min(len(arms), 3 * workers.jobs) if workers.jobs > 1 else 1
    return [arms[k::count] for k in range(count)]


def _sampled(portion: Portion) -> Sampling:
    statistics: dict[tuple[str, str], Statistic] = {}
    for arm, one in portion.scored.items():
        statistics |= {(arm, name): s for name, s in one.statistics().items()}
    for arm, one in portion.bent.items():
        statistics[arm, FITTED_CUTS.name] = one.statistics()["official_f1"]
    options = {"resamples": portion.resamples, "seed": portion.seed}
    samples = sample(statistics, portion.groups, jackknife=True, blocks=BLOCKS, **options)
    draws = min(portion.resamples, CHANCE_DRAWS)
    chance = {
        a: calibrated_errors(one.top_label()[0], resamples=draws, seed=portion.seed)
        for a, one in portion.scored.items()
    }
    return Sampling(samples, chance)


def _grouped(task: tuple[Sequence[Lesion], Portion]) -> dict[str, tuple[Subgroup, ...]]:
    lesions, portion = task
    return subgroups(lesions, portion.scored, resamples=portion.resamples, seed=portion.seed)
