"""What does a benchmark hold? Every arm's numbers with intervals, and every comparison fixed before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.diagnosis import RESEARCH_USE
from dxtree.benchmark.config import BenchmarkConfig
from dxtree.benchmark.leaderboard import Entry, Leaderboard
from dxtree.benchmark.looks import Closer
from dxtree.benchmark.shortcuts import Missing
from dxtree.evaluation.intervals import Interval, Verdict
from dxtree.evaluation.metrics import Metric
from dxtree.evaluation.results import Bin
from dxtree.evaluation.significance import DeLong, McNemar
from dxtree.evaluation.subgroups import Subgroup

FORMAT = 1
"""Version of `Benchmark.to_dict`."""


@dataclass(frozen=True)
class Comparison:
    """One arm minus another on the same lesions and resamples; the verdict is about `arm`.

    `p` is two-sided by the bootstrap, `p_holm` adjusted over the comparisons of the same label set with the
    same reference; `None` where the metric takes no part in that table.
    """

    label_set: str
    metric: str
    arm: str
    against: str
    found: Interval
    verdict: Verdict
    p: float | None
    p_holm: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "label_set": self.label_set,
            "metric": self.metric,
            "arm": self.arm,
            "against": self.against,
            **self.found.to_dict(),
            "verdict": self.verdict,
            "p": self.p,
            "p_holm": self.p_holm,
        }


@dataclass(frozen=True)
class PairTest:
    """Two arms by the classical tests: right answers (McNemar) and the malignant node's area (DeLong)."""

    arm: str
    against: str
    mcnemar: McNemar
    delong: DeLong | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        one, other = self.mcnemar, self.delong
        found: dict[str, Any] = {
            "arm": self.arm,
            "against": self.against,
            "only_arm_right": one.only_first,
            "only_other_right": one.only_second,
            "mcnemar_exact_p": one.exact,
            "mcnemar_mid_p": one.mid,
        }
        if other is not None:
            found |= {"auc_difference": other.difference.to_dict(), "delong_p": other.p}
        return found


@dataclass(frozen=True)
class ByLevel:
    """Every arm on one label set: metric to interval, by arm; with calibration by chance alone.

    `rows`: sha256 over the lesions judged, with their labels and folds.
    """

    name: str
    n: int
    rows: str
    classes: int
    present: int
    cells: Mapping[str, Mapping[str, Interval]]
    reliability: Mapping[str, tuple[Bin, ...]] = field(default_factory=dict)
    ece_by_chance: Mapping[str, float] = field(default_factory=dict)
    """Mean ECE that a perfectly calibrated model with an arm's confidences would show."""


@dataclass(frozen=True)
class CohortResults:
    """One cohort's tables. `headline` is the label set of the comparisons that are shown first.

    `main` are the arms of the tables, `controls` those whose metadata were permuted; calibrated ones are
    shown where arms are looked at more closely.
    """

    cohort: str
    n: int
    n_lesions: int
    inputs: Mapping[str, tuple[str, ...]]
    headline: str
    malignant: str | None
    main: tuple[str, ...]
    controls: tuple[str, ...]
    levels: tuple[ByLevel, ...]
    comparisons: tuple[Comparison, ...]
    tests: tuple[PairTest, ...]
    subgroups: Mapping[str, tuple[Subgroup, ...]]
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...]
    same: Mapping[str, str]
    empty: tuple[str, ...]
    left_out: Mapping[str, int]
    traps: tuple[str, ...]
    closer: Closer

    def references(self) -> list[str]:
        """Arms that all others are compared with, in the order of the configuration."""
        return [a for a in dict.fromkeys(c.against for c in self.comparisons) if a not in self.controls]

    def level(self, name: str) -> ByLevel:
        """The label set of a name."""
        return next(one for one in self.levels if one.name == name)

    def comparison(self, label_set: str, metric: str, arm: str, against: str) -> Comparison | None:
        """One comparison, or `None` where it was not made."""
        key = (label_set, metric, arm, against)
        return next((c for c in self.comparisons if (c.label_set, c.metric, c.arm, c.against) == key), None)

    def leaderboard(self, benchmark: str, provenance: Mapping[str, Any]) -> Leaderboard:
        """The file that a later run is compared with."""
        entries = tuple(
            Entry(arm, one.name, one.n, one.rows, {m: (i.value, i.low, i.high) for m, i in cells.items()})
            for one in self.levels
            for arm, cells in one.cells.items()
        )
        return Leaderboard(benchmark, self.cohort, self.inputs, entries, provenance)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "cohort": self.cohort,
            "n": self.n,
            "n_lesions": self.n_lesions,
            "inputs": {name: list(members) for name, members in self.inputs.items()},
            "headline": self.headline,
            "malignant": self.malignant,
            "levels": {
                one.name: {
                    "n": one.n,
                    "rows": one.rows,
                    "classes": one.classes,
                    "classes_present": one.present,
                    "arms": {
                        arm: {m: i.to_dict() for m, i in cells.items()} for arm, cells in one.cells.items()
                    },
                    "ece_by_chance": dict(one.ece_by_chance),
                }
                for one in self.levels
            },
            "comparisons": [c.to_dict() for c in self.comparisons],
            "tests": [t.to_dict() for t in self.tests],
            "subgroups": {arm: [s.to_dict() for s in rows] for arm, rows in self.subgroups.items()},
            "missing": [m.to_dict() for m in self.missing],
            "warnings": list(self.warnings),
            "same_to_the_bit": dict(self.same),
            "without_an_answer": list(self.empty),
            "left_out": dict(self.left_out),
            "traps": list(self.traps),
            **self.closer.to_dict(),
        }


@dataclass(frozen=True)
class Benchmark:
    """Every cohort's results, with the configuration and what made them."""

    config: BenchmarkConfig
    metrics: tuple[Metric, ...]
    cohorts: tuple[CohortResults, ...]
    provenance: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, without NaN: `None` and a `reason` stand where a number is not defined."""
        config = self.config.model_dump(mode="json", exclude={"evidence"})
        return {
            "format": FORMAT,
            "name": self.config.name,
            "config": {**config, "evidence": sorted(self.config.evidence)},
            "cohorts": [one.to_dict() for one in self.cohorts],
            "definitions": {m.name: m.definition for m in self.metrics},
            "provenance": dict(self.provenance),
            "research_use": RESEARCH_USE,
        }

    def leaderboards(self) -> dict[str, Any]:
        """The document of `leaderboard.json`."""
        found = [one.leaderboard(self.config.name, self.provenance).to_dict() for one in self.cohorts]
        return {"format": FORMAT, "cohorts": found, "research_use": RESEARCH_USE}
