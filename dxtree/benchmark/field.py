"""Which arms stand side by side over one cohort, on which lesions, and in what order?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.case import FIELDS
from core.cohort import Lesion
from core.partition import Partition
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.benchmark.answers import Answered
from dxtree.benchmark.arms import Arm
from dxtree.benchmark.shortcuts import METADATA_ALONE, MISSINGNESS_ALONE, metadata_alone, missingness_alone
from dxtree.evaluation.weighted import BoolArray


@dataclass(frozen=True)
class Part:
    """Lesions with the fold of each, and every arm's probabilities of the training classes for them.

    A row is NaN where an arm has no answer for the lesion.
    """

    lesions: tuple[Lesion, ...]
    fold: IntArray
    values: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Field:
    """Every arm of one cohort by its title.

    `fitting` are the cross-fitted answers on which thresholds, calibrators and sets are fitted; the same
    object as `judged` where each lesion is answered by its own fold.
    """

    partition: Partition
    arms: Mapping[str, Arm]
    judged: Part
    fitting: Part
    same: Mapping[str, str]
    empty: tuple[str, ...]

    @property
    def crossed(self) -> bool:
        """Whether fitting and judging go by folds of the same lesions."""
        return self.judged is self.fitting

    def common(self) -> BoolArray:
        """Which judged lesions every arm answers for."""
        if not self.judged.values:
            return np.zeros(len(self.judged.lesions), bool)
        return np.asarray(np.all([~np.isnan(v[:, 0]) for v in self.judged.values.values()], axis=0))

    def pairs(self, title: str, part: Part) -> Iterator[tuple[IntArray, IntArray]]:
        """Rows of `fitting` to learn from and rows of `part` to apply it to: never the same lesions.

        One pair a fold where the part has folds of its own, else one in all. Rows without an answer are in
        neither; an arm without cross-fitted answers gives no pair.
        """
        if title not in self.fitting.values:
            return
        known = ~np.isnan(self.fitting.values[title][:, 0])
        asked = ~np.isnan(part.values[title][:, 0])
        if part is not self.fitting:
            yield np.flatnonzero(known), np.flatnonzero(asked)
            return
        for fold in np.unique(part.fold[asked]).tolist():
            inside = self.fitting.fold == fold
            yield np.flatnonzero(known & ~inside), np.flatnonzero(asked & inside)

    def title_of(self, fuser: str, inputs: str, evidence: str | None = None) -> list[str]:
        """Titles of the arms of a fuser and inputs, one an evidence set, by the arm that stands for each."""
        sets = sorted({a.evidence for a in self.arms.values()})
        titles = [Arm(e, fuser, inputs).title(len(sets) > 1) for e in sets if evidence in (None, e)]
        return [one for one in (self.same.get(t, t) for t in titles) if one in self.arms]


def make_field(answered: Sequence[Answered], fields: Sequence[str]) -> Field:
    """Joins the evidence sets of one cohort and adds what metadata alone, and their absence, tell."""
    several = len(answered) > 1
    judged: list[tuple[Sequence[Lesion], IntArray, dict[str, FloatArray]]] = []
    fitting: list[tuple[Sequence[Lesion], IntArray, dict[str, FloatArray]]] = []
    arms: dict[str, Arm] = {}
    same: dict[str, str] = {}
    empty: list[str] = []
    for one in answered:
        material = one.material
        titles = {arm: arm.title(several) for arm in one.judged}
        arms |= {title: arm for arm, title in titles.items()}
        same |= {a.title(several): b.title(several) for a, b in one.same.items()}
        empty += [a.title(several) for a in one.empty]
        fold = np.array([c.fold for c in material.judged], np.int64)
        judged.append((material.lesions, fold, {titles[a]: v for a, v in one.judged.items()}))
        fitting.append(
            (material.fitted_lesions, material.fold, {titles[a]: v for a, v in one.fitting.items()})
        )
    first = answered[0].material
    known = [
        f for f in FIELDS if f in fields and any(getattr(c.patient, f) is not None for c in first.fitting)
    ]
    if known:
        alone = {
            METADATA_ALONE: metadata_alone(first, known),
            MISSINGNESS_ALONE: missingness_alone(first, known),
        }
        judged[0][2].update(alone)
        arms |= {name: Arm(first.evidence, name, "") for name in alone}
    part = _part(judged)
    crossed = all(one.material.crossed for one in answered)
    return Field(first.partition, arms, part, part if crossed else _part(fitting), same, tuple(empty))


def _part(parts: Sequence[tuple[Sequence[Lesion], IntArray, Mapping[str, FloatArray]]]) -> Part:
    lesions: dict[tuple[str, str], tuple[Lesion, int]] = {}
    for members, fold, _ in parts:
        for lesion, own in zip(members, fold.tolist(), strict=True):
            lesions.setdefault((lesion.cohort, lesion.lesion), (lesion, own))
    place = {key: k for k, key in enumerate(lesions)}
    values: dict[str, FloatArray] = {}
    for members, _, arms in parts:
        rows = [place[x.cohort, x.lesion] for x in members]
        for title, given in arms.items():
            values[title] = np.full((len(place), given.shape[1]), np.nan)
            values[title][rows] = given
    found = list(lesions.values())
    return Part(tuple(x for x, _ in found), np.array([f for _, f in found], np.int64), values)
