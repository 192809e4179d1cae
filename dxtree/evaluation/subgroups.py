"""For whom does it work worst? Balanced accuracy and AUC by sex, age, site and the cohort's own groups.

A group that is *not known* is a group. One of fewer than 30 lesions gets no number: "insufficient". Balanced
accuracy is over the classes that occur in a group: groups with another mix of classes differ for that, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.case import PatientMetadata, body_sites
from core.cohort import Lesion
from core.taxonomy import IntArray
from dxtree.evaluation.intervals import Interval, group_index, interval, sample
from dxtree.evaluation.metrics import METRICS, Scored

LEAST = 30
"""Lesions that a group needs for a number."""

NOT_KNOWN = "not known"
INSUFFICIENT = f"insufficient: fewer than {LEAST} lesions"
SHOWN = ("balanced_accuracy", "auc_malignant")

_AGES = ((30, "<30"), (45, "30-44"), (60, "45-59"), (75, "60-74"))
_OLDEST = "75+"


@dataclass(frozen=True)
class Subgroup:
    """One pipeline on one group of lesions, each with a truth in the label set."""

    by: str
    group: str
    n: int
    metrics: Mapping[str, Interval]

    @property
    def sufficient(self) -> bool:
        """Whether the group is large enough for a number."""
        return self.n >= LEAST

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        numbers = {name: found.to_dict() for name, found in self.metrics.items()}
        return {"by": self.by, "group": self.group, "n": self.n, "sufficient": self.sufficient, **numbers}


def subgroups(
    lesions: Sequence[Lesion], scored: Mapping[str, Scored], *, resamples: int, seed: int
) -> dict[str, tuple[Subgroup, ...]]:
    """Subgroup tables by pipeline over the same lesions, the worst balanced accuracy first.

    Every pipeline is judged on the same resamples of a group; groups too small for a number stand last.
    """
    found: dict[str, list[Subgroup]] = {name: [] for name in scored}
    for by, names in memberships(lesions).items():
        for group in sorted(set(names)):
            rows = np.flatnonzero([name == group for name in names])
            for pipeline, metrics in _measure(lesions, rows, scored, resamples, seed).items():
                found[pipeline].append(Subgroup(by, group, len(rows), metrics))
    return {name: tuple(sorted(rows, key=_worst_first)) for name, rows in found.items()}


def memberships(lesions: Sequence[Lesion]) -> dict[str, list[str]]:
    """The group of every lesion, by what it is grouped by; the cohort only where there are several."""
    found = {
        "sex": [lesion.patient.sex or NOT_KNOWN for lesion in lesions],
        "age": [age_band(lesion.patient) for lesion in lesions],
        "site": [region(lesion.patient) for lesion in lesions],
    }
    for key in sorted({key for lesion in lesions for key in lesion.groups}):
        found[key] = [lesion.groups.get(key) or NOT_KNOWN for lesion in lesions]
    if len({lesion.cohort for lesion in lesions}) > 1:
        found["cohort"] = [lesion.cohort for lesion in lesions]
    return found


def age_band(patient: PatientMetadata) -> str:
    """One of five bands of age in years, or not known."""
    if patient.age_years is None:
        return NOT_KNOWN
    return next((name for end, name in _AGES if patient.age_years < end), _OLDEST)


def region(patient: PatientMetadata) -> str:
    """First level of the site vocabulary, or not known."""
    return (body_sites().ancestor_at(patient.site, 1) if patient.site else None) or NOT_KNOWN


def _measure(
    lesions: Sequence[Lesion], rows: IntArray, scored: Mapping[str, Scored], resamples: int, seed: int
) -> dict[str, dict[str, Interval]]:
    if len(rows) < LEAST:
        nothing = Interval(None, None, None, INSUFFICIENT)
        return {pipeline: dict.fromkeys(SHOWN, nothing) for pipeline in scored}
    statistics = {
        (pipeline, name): statistic
        for pipeline, all_rows in scored.items()
        for name, statistic in all_rows.select(rows).statistics().items()
        if name in SHOWN
    }
    groups = group_index([lesions[k].lesion for k in rows.tolist()])
    sampled = sample(statistics, groups, resamples=resamples, seed=seed)
    return {
        pipeline: {
            m.name: interval(
                sampled[pipeline, m.name], m, "needs malignant and other lesions, and their node"
            )
            for m in METRICS
            if m.name in SHOWN
        }
        for pipeline in scored
    }


def _worst_first(subgroup: Subgroup) -> tuple[bool, float, str, str]:
    value = subgroup.metrics["balanced_accuracy"].value
    return (value is None, value or 0.0, subgroup.by, subgroup.group)
