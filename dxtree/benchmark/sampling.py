"""How sure are the numbers of many arms? Every arm on the same resamples of the same lesions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.taxonomy import IntArray
from dxtree.benchmark.workers import Workers
from dxtree.evaluation.bounds import Sampled
from dxtree.evaluation.intervals import sample
from dxtree.evaluation.metrics import Scored
from dxtree.evaluation.weighted import Statistic

BLOCKS = 300
"""Blocks of lesions that the jackknife behind BCa leaves out in turn; see `intervals.sample`."""

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


def sample_arms(portion: Portion, workers: Workers, fitted_cuts: str) -> Samples:
    """Every metric of every arm. Arms are shared out to the workers; who samples an arm changes no bit."""
    arms = list(portion.scored)
    count = min(len(arms), 3 * workers.jobs) if workers.jobs > 1 else 1
    parts = [
        Portion(
            {a: portion.scored[a] for a in arms[k::count]},
            {a: portion.bent[a] for a in arms[k::count] if a in portion.bent},
            portion.groups,
            portion.resamples,
            portion.seed,
        )
        for k in range(count)
    ]
    found: Samples = {}
    for part, (plain, bent) in workers.each(_sampled, parts):
        found |= plain
        found |= {(arm, fitted_cuts): value for arm, value in bent.items()}
        del part
    return found


def _sampled(portion: Portion) -> tuple[Samples, dict[str, Sampled]]:
    plain: dict[tuple[str, str], Statistic] = {}
    for arm, one in portion.scored.items():
        plain |= {(arm, name): s for name, s in one.statistics().items()}
    bent = {(arm, "official_f1"): one.statistics()["official_f1"] for arm, one in portion.bent.items()}
    both = sample(
        {**{("plain", *k): s for k, s in plain.items()}, **{("bent", *k): s for k, s in bent.items()}},
        portion.groups,
        resamples=portion.resamples,
        seed=portion.seed,
        jackknife=True,
        blocks=BLOCKS,
    )
    return (
        {(arm, name): v for (kind, arm, name), v in both.items() if kind == "plain"},
        {arm: v for (kind, arm, _), v in both.items() if kind == "bent"},
    )
