"""Which lesions does a benchmark judge, which is each fuser fitted on, and in which folds?"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.cohort import Lesion
from core.errors import CohortError, ContractError
from core.partition import Partition
from core.taxonomy import IntArray
from dxtree.benchmark.config import BenchmarkConfig
from dxtree.benchmark.evidence import HELD_OUT, EvidenceSet
from plugins.specs import FusionCase


@dataclass(frozen=True)
class Material:
    """One cohort seen through one evidence set.

    `fitting`: cases with folds from 0; `judged`: the cases that results are about, the same ones unless
    lesions are judged that nothing was fitted on. `lesions` are those of `judged` in order,
    `fitted_lesions` those of `fitting`.
    """

    cohort: str
    evidence: str
    partition: Partition
    fitting: tuple[FusionCase, ...]
    judged: tuple[FusionCase, ...]
    lesions: tuple[Lesion, ...]
    fitted_lesions: tuple[Lesion, ...]
    left_out: Mapping[str, int]

    @property
    def crossed(self) -> bool:
        """Whether each judged lesion is answered by the fuser of its own fold."""
        return self.judged is self.fitting

    @property
    def fold(self) -> IntArray:
        """Fold of each case to fit on."""
        return np.array([c.fold for c in self.fitting], np.int64)

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.fold.max()) + 1

    def digest(self) -> str:
        """sha256 over everything that a fuser reads: cases, evidence, truth."""
        found = hashlib.sha256(self.partition.fingerprint.encode())
        for case in (*self.fitting, *(() if self.crossed else self.judged)):
            text = [case.cohort, case.lesion, case.fold, case.truth, case.patient.model_dump(mode="json")]
            found.update(json.dumps(text).encode())
            for one in case.evidence:
                found.update(one.modality.encode())
                found.update(one.probabilities.values.tobytes())
                found.update(one.prior.values.tobytes())
        return found.hexdigest()


def material_of(
    config: BenchmarkConfig, cohort: str, name: str, evidence: EvidenceSet, lesions: Sequence[Lesion]
) -> Material:
    """Joins a cohort's lesions with the evidence of their images.

    Raises `CohortError` where nothing can be fitted or judged.
    """
    lesions = sorted(lesions, key=lambda x: (x.cohort, x.lesion))  # their order changes no draw
    cases = evidence.cases(lesions)
    crossed = [c for c in cases if c.fold != HELD_OUT]
    held_out = [c for c in cases if c.fold == HELD_OUT]
    if not crossed:  # nets that trained on nothing of this cohort
        crossed, held_out = drawn_folds(held_out, lesions, config.folds, config.seed), []
    judged = crossed if config.lesions == "out_of_fold" or not held_out else held_out
    if not judged:
        raise CohortError(f"{cohort}: evidence set {name!r} holds no answer for any of its lesions")
    if config.lesions == "held_out" and not held_out:
        judged = crossed
    by_key = {(x.cohort, x.lesion): x for x in lesions}
    chosen = tuple(crossed)
    return Material(
        cohort,
        name,
        evidence.partition,
        chosen,
        chosen if judged is crossed else tuple(judged),
        tuple(by_key[c.cohort, c.lesion] for c in judged),
        tuple(by_key[c.cohort, c.lesion] for c in chosen),
        evidence.left_out(lesions),
    )


def drawn_folds(
    cases: Sequence[FusionCase], lesions: Sequence[Lesion], folds: int, seed: int
) -> list[FusionCase]:
    """Folds for lesions that no net was trained on: alike in classes, one patient in one fold."""
    from sklearn.model_selection import StratifiedGroupKFold

    if not cases:
        return []
    person = {(x.cohort, x.lesion): next((i.person for i in x.images if i.person), x.lesion) for x in lesions}
    groups = [person[c.cohort, c.lesion] for c in cases]
    if len(set(groups)) < folds:
        raise CohortError(f"{len(set(groups))} lesions or patients cannot be cut into {folds} folds")
    counts = Counter(c.truth for c in cases)
    # scikit-learn wants as many lesions of a class as folds; those of rarer ones are spread as one class.
    classes = [c.truth if counts[c.truth] >= folds else "" for c in cases]
    if classes.count("") < folds:
        classes = [one or counts.most_common(1)[0][0] for one in classes]
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found = list(cases)
    for fold, (_, inside) in enumerate(cutter.split(np.zeros(len(cases)), classes, groups)):
        for k in inside.tolist():
            found[k] = replace(cases[k], fold=fold)
    return found


def check_alike(materials: Sequence[Material]) -> None:
    """Evidence sets of one benchmark share partition and folds, so that arms differ in nothing else.

    Raises `ContractError` where they do not.
    """
    first = materials[0]
    fold = {c.lesion: c.fold for c in first.fitting}
    for other in materials[1:]:
        if other.partition.fingerprint != first.partition.fingerprint:
            raise ContractError(
                f"evidence sets {first.evidence!r} and {other.evidence!r} have other training classes; "
                "make one benchmark for each"
            )
        if any(fold.get(c.lesion, c.fold) != c.fold for c in other.fitting):
            raise ContractError(
                f"evidence sets {first.evidence!r} and {other.evidence!r} were made over other folds; "
                "train both on one split"
            )
