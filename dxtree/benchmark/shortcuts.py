"""Could the answer be read off without looking? What metadata alone, and their mere absence, tell.

Metadata that predict the label better than they would in a clinic, or a field that is missing for some labels
more than for others, make fusion look better than it is. Both are answered here from other folds, as every
fuser is, and stand in the table of every report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from core.case import FIELDS, PatientMetadata
from core.partition import Partition
from core.tree import FloatArray
from dxtree.benchmark.material import Material
from dxtree.evaluation.intervals import wilson
from fusion.features import Features
from plugins.specs import FusionCase

METADATA_ALONE, MISSINGNESS_ALONE = "metadata alone", "missingness alone"

PENALTY = 1.0
"""C of the logistic regression on metadata alone: scikit-learn's default, not tuned on any result."""

SMOOTHING = 5.0
"""Lesions, spread as all lesions are, that each pattern of missing fields counts beside its own."""


@dataclass(frozen=True)
class Missing:
    """How often a field is missing, and the share of malignant lesions where it is and where it is not.

    `known_share` and `missing_share` are (share, low, high), 95 % by Wilson 1927; `None` without lesions.
    """

    field: str
    missing: int
    known: int
    missing_share: tuple[float, float, float] | None
    known_share: tuple[float, float, float] | None

    @property
    def tells(self) -> bool:
        """Whether the two intervals are apart: the absence of the field predicts the label."""
        if self.missing_share is None or self.known_share is None:
            return False
        return self.missing_share[1] > self.known_share[2] or self.missing_share[2] < self.known_share[1]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "tells": self.tells}


def metadata_alone(material: Material, fields: Sequence[str]) -> FloatArray:
    """Probabilities of the training classes from metadata alone: multinomial logistic regression.

    Judged cases x classes. A field that is missing is an indicator of its own.
    """
    from sklearn.linear_model import LogisticRegression

    features = Features(material.partition, (), [f for f in FIELDS if f in fields])

    def table(cases: Sequence[FusionCase]) -> FloatArray:
        return np.stack([features.vector((), c.patient) for c in cases])

    def answer(known: Sequence[FusionCase], asked: Sequence[FusionCase]) -> FloatArray:
        classes = {c.truth for c in known}
        if len(classes) == 1:  # nothing to tell apart
            return _on(material.partition, sorted(classes), np.ones((len(asked), 1)))
        model = LogisticRegression(C=PENALTY, max_iter=1000)
        model.fit(table(known), [c.truth for c in known])
        return _on(material.partition, model.classes_.tolist(), model.predict_proba(table(asked)))

    return _crossed(material, answer)


def missingness_alone(material: Material, fields: Sequence[str]) -> FloatArray:
    """Probabilities of the training classes from which fields are known, and nothing else.

    Judged cases x classes: the shares of classes among the lesions of the same pattern in other folds, drawn
    towards those of all lesions by `SMOOTHING` pseudo-lesions.
    """
    index = {name: k for k, name in enumerate(material.partition.ids)}

    def answer(known: Sequence[FusionCase], asked: Sequence[FusionCase]) -> FloatArray:
        every = np.bincount([index[c.truth] for c in known], minlength=len(index)) / len(known)
        counts: dict[tuple[bool, ...], FloatArray] = {}
        for case in known:
            key = pattern(case.patient, fields)
            counts.setdefault(key, np.zeros(len(index)))[index[case.truth]] += 1
        nothing = np.zeros(len(index))
        rows = [counts.get(pattern(c.patient, fields), nothing) + SMOOTHING * every for c in asked]
        return np.stack([row / row.sum() for row in rows])

    return _crossed(material, answer)


def pattern(patient: PatientMetadata, fields: Sequence[str]) -> tuple[bool, ...]:
    """Which fields are known."""
    return tuple(getattr(patient, f) is not None for f in fields)


def missing_fields(
    patients: Sequence[PatientMetadata], malignant: Sequence[int], fields: Sequence[str]
) -> list[Missing]:
    """Each field's absence against the label; `malignant` is 1, 0, or -1 where the label does not tell."""
    found = []
    for one in fields:
        known = [getattr(p, one) is not None for p in patients]
        counted = Counter(zip(known, malignant, strict=True))
        found.append(
            Missing(
                one,
                known.count(False),
                known.count(True),
                _share(counted[False, 1], counted[False, 0]),
                _share(counted[True, 1], counted[True, 0]),
            )
        )
    return found


def _share(positive: int, negative: int) -> tuple[float, float, float] | None:
    total = positive + negative
    if not total:
        return None
    low, high = wilson(np.array([positive / total]), total)
    return positive / total, float(low[0]), float(high[0])


def _crossed(material: Material, answer: Any) -> FloatArray:
    if not material.crossed:
        return np.asarray(answer(material.fitting, material.judged))
    found = np.empty((len(material.judged), len(material.partition.ids)))
    for fold in range(material.folds):
        inside = np.flatnonzero(material.fold == fold)
        known = [c for c in material.fitting if c.fold != fold]
        found[inside] = answer(known, [material.fitting[k] for k in inside.tolist()])
    return found


def _on(partition: Partition, classes: Sequence[str], values: FloatArray) -> FloatArray:
    found = np.zeros((len(values), len(partition.ids)))
    found[:, [partition.ids.index(c) for c in classes]] = values
    return found
