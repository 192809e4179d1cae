"""Which lesions does a benchmark judge, which is each fuser fitted on, and in which folds?"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.case import FIELDS
from core.cohort import Lesion
from core.errors import CohortError, ContractError, LeakageError
from core.partition import Partition
from core.taxonomy import IntArray
from dxtree.benchmark.config import BenchmarkConfig
from dxtree.benchmark.evidence import HELD_OUT, EvidenceSet
from fusion.fitted import restricted
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
    def teaches(self) -> bool:
        """Whether a fuser can learn anything: some lesion has two modalities, or any metadata."""
        return any(len(c.evidence) > 1 or c.patient.known() for c in self.fitting)

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
    """Joins a cohort's lesions with the evidence of their images; metadata that are not allowed stay out.

    Raises `CohortError` where nothing can be fitted or judged, `LeakageError` where one patient's lesions lie
    in two folds.
    """
    lesions = sorted(lesions, key=lambda x: (x.cohort, x.lesion))  # their order changes no draw
    allowed = [f for f in FIELDS if f in config.metadata]
    cases = [replace(c, patient=restricted(c.patient, allowed)) for c in evidence.cases(lesions)]
    if not cases:
        raise CohortError(f"{cohort}: evidence set {name!r} holds no answer for any of its lesions")
    crossed = [c for c in cases if c.fold != HELD_OUT]
    held_out = [c for c in cases if c.fold == HELD_OUT]
    left_out = evidence.left_out(lesions)
    if not crossed:  # nets that trained on nothing of this cohort
        fold = drawn_folds(evidence.partition, lesions, config.folds, config.seed)
        crossed, held_out = [replace(c, fold=fold[c.lesion]) for c in held_out], []
    elif config.lesions == "held_out" and not held_out:
        raise CohortError(
            f"{cohort}: nets of evidence set {name!r} were trained on every lesion; judge them out_of_fold"
        )
    elif config.lesions == "held_out":
        left_out["fitted on: judged with lesions: out_of_fold"] = len(crossed)
    elif held_out:
        left_out["held out: judged with lesions: held_out"] = len(held_out)
    judged = held_out if config.lesions == "held_out" and held_out else crossed
    by_key = {(x.cohort, x.lesion): x for x in lesions}
    _check_patients(cohort, crossed, held_out, by_key)
    chosen = tuple(crossed)
    return Material(
        cohort,
        name,
        evidence.partition,
        chosen,
        chosen if judged is crossed else tuple(judged),
        tuple(by_key[c.cohort, c.lesion] for c in judged),
        tuple(by_key[c.cohort, c.lesion] for c in chosen),
        left_out,
    )


def _check_patients(
    cohort: str,
    crossed: Sequence[FusionCase],
    held_out: Sequence[FusionCase],
    lesions: Mapping[tuple[str, str], Lesion],
) -> None:
    """Raises `LeakageError` for a patient with lesions on two sides of a fit."""
    fold: dict[str, int] = {}
    for case in (*crossed, *held_out):
        person = patient_of(lesions[case.cohort, case.lesion])
        if fold.setdefault(person, case.fold) != case.fold:
            raise LeakageError(
                f"{cohort}: lesions of one patient lie in two folds of the evidence; split by patient and "
                "train anew"
            )


def patient_of(lesion: Lesion) -> str:
    """The patient where the cohort tells, else the lesion: what may not be split, and what resamples draw."""
    return next((i.person for i in lesion.images if i.person), lesion.lesion)


def drawn_folds(partition: Partition, lesions: Sequence[Lesion], folds: int, seed: int) -> dict[str, int]:
    """Fold of each lesion that no net was trained on: alike in classes, one patient in one fold.

    They are drawn over all lesions with a training class, whichever have evidence. Raises `CohortError` for
    fewer patients than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    known = [(x, c) for x in lesions if (c := partition.class_of(x.label)) is not None]
    groups = [patient_of(x) for x, _ in known]
    if len(set(groups)) < folds:
        raise CohortError(f"{len(set(groups))} lesions or patients cannot be cut into {folds} folds")
    counts = Counter(c for _, c in known)
    # scikit-learn wants as many lesions of a class as folds; those of rarer ones are spread as one class.
    classes = [c if counts[c] >= folds else "" for _, c in known]
    if classes.count("") < folds:
        classes = [one or counts.most_common(1)[0][0] for one in classes]
    cutter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found: dict[str, int] = {}
    for fold, (_, inside) in enumerate(cutter.split(np.zeros(len(known)), classes, groups)):
        found |= {known[k][0].lesion: fold for k in inside.tolist()}
    return found


def check_alike(materials: Sequence[Material]) -> None:
    """Evidence sets of one benchmark share partition and folds, so that arms differ in nothing else.

    Raises `ContractError` where they do not.
    """
    first = materials[0]
    fold = {c.lesion: c.fold for c in first.fitting}
    for other in materials[1:]:
        both = f"evidence sets {first.evidence!r} and {other.evidence!r}"
        if other.partition.fingerprint != first.partition.fingerprint:
            raise ContractError(f"{both} have other training classes; make one benchmark for each")
        if other.crossed != first.crossed:
            raise ContractError(
                f"{both}: nets of one were trained on lesions that the other holds out; make one benchmark "
                "for each"
            )
        if any(fold.get(c.lesion, c.fold) != c.fold for c in other.fitting):
            raise ContractError(f"{both} were made over other folds; train both on one split")
