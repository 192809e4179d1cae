"""Does a benchmark find the gain from metadata that was built in, and none where there is none?

    python benchmarks/synthetic_gain.py
    python benchmarks/synthetic_gain.py --quick

Perfect nets answer for synthetic lesions (`dxtree.cohorts.synthetic.answers`), fusers are fitted by folds as
a benchmark fits them, and the paired difference between a fuser with metadata and a reference without gets
its 95 % interval. Four references are tried, since not each of them isolates what metadata add:

- `image_only`: the mean of the two nets. A fuser pools them better, with metadata or without.
- `pool`: both nets pooled with learned weights; it never sees metadata.
- `withheld`: the same fit, asked without metadata.
- `permuted`: the same fuser, fitted and asked with each patient's metadata moved to another lesion.

`oracle` is the exact posterior with metadata against the one without: it shows the interval by itself.
Without signal its two answers are one, so it is never called anything.

Only `permuted` asks for an even chance of better and worse where metadata say nothing, since both sides paid
for fitting noise. Against `pool` and `withheld` a fuser that learned noise is a little worse in truth, and
intervals rightly say so more often than that it is better.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace

import numpy as np

from core.case import FIELDS
from core.diagnosis import RESEARCH_USE
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.benchmark.arms import with_inputs
from dxtree.benchmark.running import fitted, permuted
from dxtree.cohorts.synthetic.answers import (
    SHARPNESS,
    PerfectAnswers,
    answer_partition,
    answers_of,
    independent_answers,
)
from dxtree.cohorts.synthetic.classes import CLASSES
from dxtree.cohorts.synthetic.gain import POPULATION, Gain, Metric, gain, level_members
from dxtree.cohorts.synthetic.lesion import VIEWS
from dxtree.evaluation.intervals import difference, sample
from dxtree.evaluation.metrics import METRICS
from dxtree.evaluation.proper import squared_error
from dxtree.evaluation.ranking import auc
from dxtree.evaluation.weighted import Statistic, weighted_mean
from fusion.plugin import dxtree_fusers
from plugins.specs import FusionCase

FUSERS = ("bayes", "logistic")
EVERYTHING = (*VIEWS, *FIELDS)
MEASURED: tuple[Metric, ...] = ("auc_malignant", "brier_second_level")
KINDS = {m: next(k for k in METRICS if m.startswith(k.name)) for m in MEASURED}
SILENT_SEED = 1000
"""First seed of the cohorts without signal; those with one begin at 0."""

Pair = tuple[str, str, Metric]
"""Fuser with metadata, reference without, metric."""

SPECS = {spec.name: spec for spec in dxtree_fusers()}


@dataclass(frozen=True)
class Task:
    """One cohort to draw, answer and judge."""

    seed: int
    lesions: int
    signal: bool
    folds: int
    resamples: int
    sharpness: float


@dataclass(frozen=True)
class Found:
    """One paired difference, its interval and what it is called."""

    value: float
    low: float
    high: float
    verdict: str


def crossed(
    fuser: str, cases: Sequence[FusionCase], inputs: Sequence[Sequence[str]], seed: int
) -> list[FloatArray]:
    """Lesions x classes for each set of inputs; every lesion is answered by a fit on the other folds."""
    fold = np.array([c.fold for c in cases])
    rows = [np.empty((len(cases), len(answer_partition().ids))) for _ in inputs]
    for out in range(fold.max() + 1):
        known = [replace(c, fold=c.fold - (c.fold > out)) for c in cases if c.fold != out]
        fit = fitted(SPECS[fuser], known, answer_partition(), seed)
        for at in np.flatnonzero(fold == out).tolist():
            for found, members in zip(rows, inputs, strict=True):
                case = with_inputs(cases[at], members)
                if case is None:
                    raise AssertionError("every lesion has both views")
                found[at] = fit.fuse(case.evidence, case.patient).values
    return rows


def arms_of(drawn: PerfectAnswers, task: Task) -> dict[tuple[str, str], FloatArray]:
    """Answers by (who, with what)."""
    cases = drawn.cases(task.folds)
    moved = permuted(cases, task.seed)
    found = {
        ("oracle", "all"): drawn.oracle(EVERYTHING),
        ("oracle", "withheld"): drawn.oracle(VIEWS),
        ("", "image_only"): crossed("image_only", cases, [VIEWS], task.seed)[0],
        ("", "pool"): crossed("pool", cases, [VIEWS], task.seed)[0],
    }
    for name in FUSERS:
        found[name, "all"], found[name, "withheld"] = crossed(name, cases, [EVERYTHING, VIEWS], task.seed)
        found[name, "permuted"] = crossed(name, moved, [EVERYTHING], task.seed)[0]
    return found


def statistic(metric: Metric, truth: IntArray, rows: FloatArray) -> Statistic:
    """The metric as the evaluation computes it."""
    if metric == "auc_malignant":
        malignant = np.array([c.path[0] == "Malignant" for c in CLASSES])
        return auc(rows[:, malignant].sum(axis=1), malignant[truth].astype(np.int64))
    member = level_members(2)
    return weighted_mean(squared_error(rows @ member, member.argmax(axis=1)[truth]))


def judge(task: Task) -> dict[Pair, Found]:
    """Every comparison of one cohort."""
    drawn = answers_of(task.lesions, task.seed, sharpness=task.sharpness, metadata_signal=task.signal)
    arms = arms_of(drawn, task)
    statistics = {(*arm, m): statistic(m, drawn.truth, rows) for arm, rows in arms.items() for m in MEASURED}
    sampled = sample(statistics, np.arange(task.lesions), resamples=task.resamples, seed=task.seed)
    pairs = [("oracle", "oracle", "withheld")]
    for name in FUSERS:
        pairs += [
            (name, "", "image_only"),
            (name, "", "pool"),
            (name, name, "withheld"),
            (name, name, "permuted"),
        ]
    found: dict[Pair, Found] = {}
    for name, other, how in pairs:
        for m in MEASURED:
            span, verdict = difference(sampled[name, "all", m], sampled[other, how, m], KINDS[m])
            if span.value is None or span.low is None or span.high is None:
                raise AssertionError(f"{m} is not defined on {task.lesions} lesions; take more")
            found[name, how, m] = Found(span.value, span.low, span.high, verdict)
    return found


def built_in(lesions: int, sharpness: float) -> dict[tuple[str, Metric], Gain]:
    """The population's gain over each kind of reference: the mean of the nets, or the best use of them."""
    drawn = independent_answers(lesions, 0, sharpness=sharpness)
    best, images = drawn.oracle(EVERYTHING), drawn.oracle(VIEWS)
    averaged = np.mean([drawn.oracle((v,)) for v in VIEWS], axis=0)
    found: dict[tuple[str, Metric], Gain] = {}
    for m in MEASURED:
        exact = gain(m, drawn.truth, best, images)
        found |= {(how, m): exact for how in ("pool", "withheld", "permuted")}
        found["image_only", m] = gain(m, drawn.truth, best, averaged)
    return found


def start() -> None:
    """One thread a process: two that fight for one core are slower than one that works."""
    import scipy.optimize  # noqa: F401 - only a library that is loaded can be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)


def run(tasks: Sequence[Task], jobs: int) -> dict[Task, dict[Pair, Found]]:
    """Every cohort's comparisons, the largest cohorts first; progress goes to stderr."""
    found, begun = {}, time.perf_counter()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, spawn, initializer=start) as pool:
        waiting = {pool.submit(judge, t): t for t in sorted(tasks, key=lambda t: -t.lesions)}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            took = time.perf_counter() - begun
            print(
                f"\r{len(found)} of {len(tasks)} cohorts, {took:.0f} s", end="", file=sys.stderr, flush=True
            )
    print(file=sys.stderr)
    return {t: found[t] for t in tasks}


def show_signal(found: Sequence[Mapping[Pair, Found]], truth: Mapping[tuple[str, Metric], Gain]) -> None:
    """Mean gain found beside the one built in, and how many intervals hold it."""
    print(f"{'fuser':9} {'reference':11} {'metric':19} {'built in':>17} {'found':>9} {'width':>6}  holds it")
    for pair in found[0]:
        name, how, m = pair
        real, runs = truth[how, m], [f[pair] for f in found]
        mean = np.mean([r.value for r in runs])
        width = np.mean([r.high - r.low for r in runs])
        held = sum(r.low <= real.value <= r.high for r in runs)
        print(
            f"{name:9} {how:11} {m:19} {real.value:+9.4f} ± {2 * real.error:.4f} {mean:+9.4f} {width:6.3f}  "
            f"{held} of {len(runs)}"
        )


def show_silent(found: Sequence[Mapping[Pair, Found]]) -> None:
    """How often a difference is called one although metadata say nothing."""
    print(f"{'fuser':9} {'reference':11} {'metric':19} {'mean':>9}  better  worse   either")
    margin = 1.96 * np.sqrt(0.05 * 0.95 / len(found))
    for pair in found[0]:
        runs = [f[pair] for f in found]
        share = {v: np.mean([r.verdict == v for r in runs]) for v in ("better", "worse")}
        either = share["better"] + share["worse"]
        mark = "" if abs(either - 0.05) <= margin else "  above" if either > 0.05 else "  below"
        mean = np.mean([r.value for r in runs])
        print(
            f"{pair[0]:9} {pair[1]:11} {pair[2]:19} {mean:+9.4f} "
            f"{share['better']:6.1%} {share['worse']:6.1%} {either:7.1%}{mark}"
        )
    print(f"5 % of {len(found)} cohorts, give or take {margin:.1%}, are called by chance.")


def settings() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cohorts", type=int, default=16, help="with signal")
    parser.add_argument("--lesions", type=int, default=1500, help="of each")
    parser.add_argument("--silent-cohorts", type=int, default=100, help="without signal")
    parser.add_argument("--silent-lesions", type=int, default=400, help="of each")
    parser.add_argument("--folds", type=int, default=3, help="3 at least")
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--population", type=int, default=POPULATION, help="lesions for the gain built in")
    parser.add_argument("--sharpness", type=float, default=SHARPNESS)
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2)
    parser.add_argument("--quick", action="store_true", help="few small cohorts: whether it runs, no result")
    given = parser.parse_args()
    if given.quick:
        given.cohorts, given.lesions, given.silent_cohorts, given.silent_lesions = 2, 500, 6, 250
        given.resamples, given.population = 300, 20_000
    return given


def tasks(given: argparse.Namespace, cohorts: int, lesions: int, *, signal: bool) -> list[Task]:
    """The cohorts of one table."""
    first = 0 if signal else SILENT_SEED
    rest = (given.folds, given.resamples, given.sharpness)
    return [Task(first + k, lesions, signal, *rest) for k in range(cohorts)]


def main() -> None:
    """Prints the settings and two tables."""
    given = settings()
    told = tasks(given, given.cohorts, given.lesions, signal=True)
    silent = tasks(given, given.silent_cohorts, given.silent_lesions, signal=False)
    begun = time.perf_counter()
    found = run([*told, *silent], given.jobs)
    truth = built_in(given.population, given.sharpness)
    print(", ".join(f"{name} {value}" for name, value in vars(given).items() if name != "jobs"))
    print(f"\nWith signal: {given.cohorts} cohorts of {given.lesions} lesions")
    show_signal([found[t] for t in told], truth)
    print(f"\nWithout signal: {given.silent_cohorts} cohorts of {given.silent_lesions} lesions")
    show_silent([found[t] for t in silent])
    print(f"\n{time.perf_counter() - begun:.0f} s. {RESEARCH_USE}")


if __name__ == "__main__":
    main()
