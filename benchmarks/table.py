"""How long does a whole table take from cached evidence, and does it say that metadata help?

    python benchmarks/table.py examples/benchmarks/milk10k.yaml --data DATA

Runs a benchmark as a library, without the command and without kept answers, and prints the time by phase and
the differences to the first reference.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from core.cohort import lesions
from core.diagnosis import RESEARCH_USE
from dxtree.benchmark.config import read_benchmark
from dxtree.benchmark.evidence import read_evidence_set
from dxtree.benchmark.run import run_benchmark
from dxtree.cohorts.reading import read_cohorts
from dxtree.evaluation.report import signed
from plugins.assembly import load_registry


def main() -> None:
    """Reads, runs and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=min(os.cpu_count() or 1, 4))
    given = parser.parse_args()
    config, registry = read_benchmark(given.file), load_registry()
    start = time.perf_counter()
    sets = {name: read_evidence_set(folder) for name, folder in config.evidence.items()}
    tree = next(iter(sets.values())).partition.taxonomy
    members = {c: lesions(read_cohorts(registry, [f"{c}={given.data / c}"], tree)) for c in config.cohorts}
    marks = [("reading", time.perf_counter())]

    def progress(done: int, total: int, what: str) -> None:
        if done == total and not what.startswith("judging"):
            marks.append(("fitting", time.perf_counter()))

    outcome = run_benchmark(config, registry, members, sets, jobs=given.jobs, progress=progress)
    marks.append(("judging", time.perf_counter()))
    before = start
    for phase, at in marks:
        print(f"{phase:10} {at - before:6.1f} s")
        before = at
    print(f"{'in all':10} {before - start:6.1f} s, {given.jobs} processes, one thread each")
    for cohort in outcome.benchmark.cohorts:
        against = cohort.references()[0]
        print(f"\n{cohort.cohort}, {cohort.n:,} lesions, Brier by {cohort.headline}: minus {against}")
        for arm in cohort.main:
            found = cohort.comparison(cohort.headline, "brier", arm, against)
            if found is not None:
                print(f"  {arm:48} {signed(found.found)}  {found.verdict}")
    print(f"\n{RESEARCH_USE}")


if __name__ == "__main__":
    main()
