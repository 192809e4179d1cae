"""What would perfect nets say about the synthetic lesions, so that the best possible fusion is known?

No picture is drawn. A net of a view sees, instead of a lesion, a vector z of one number a training class,
z ~ N(sharpness * onehot(class), I), independent over views given the class, and answers with the posterior

    P(c | z)  ~  prior(c) * exp(sharpness * z_c)

which is Bayes' rule for that normal: nothing can answer better from z, and the answer is calibrated. Age, sex
and site are those of the cohort, whose shares given each class are known too, so that the posterior given
any set of inputs is exact. It is the bound for every fuser; `gain` says what metadata add to it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from core.case import FIELDS, PatientMetadata
from core.errors import CohortError, did_you_mean
from core.partition import Partition, partition_at_level
from core.probabilities import LeafProbabilities
from core.protocols import Evidence
from core.taxonomy import IntArray
from core.tree import FloatArray
from dxtree.cohorts.isic import SITES
from dxtree.cohorts.synthetic.classes import CLASSES, SITE_TERMS, Habit, synthetic_taxonomy
from dxtree.cohorts.synthetic.lesion import VIEWS
from dxtree.cohorts.synthetic.truth import Person, class_of, person_of, person_with
from plugins.specs import FusionCase

SHARPNESS = 1.5
"""Distance of a class's mean from the others' in deviations. Both views together name the class right in
about two of three lesions and metadata add visibly, as with nets on photographs."""

_ANSWER = 5
"""Stream of random numbers of one lesion, beside those of `truth`."""

_SEXES: tuple[Literal["female", "male"], ...] = ("female", "male")
_STEP, _OLDEST = 5, 90
"""Years that ages are rounded to, and the highest age, as in `truth.person_with`."""


@cache
def answer_partition() -> Partition:
    """One training class for each label of the synthetic tree, in the order of `CLASSES`."""
    return partition_at_level(synthetic_taxonomy(), {c.label: int(c.weight) for c in CLASSES}, 3)


@dataclass(frozen=True)
class PerfectAnswers:
    """Lesions as perfect nets and a table of patients see them.

    `truth`: place of the class, one a lesion. `vectors`: lesions x views x classes, what the nets see.
    `told`: lesions x fields, the row of each field's value in its table, -1 where it is not known. `name`
    begins every lesion's id.
    """

    name: str
    truth: IntArray
    vectors: FloatArray
    told: IntArray
    sharpness: float
    metadata_signal: bool

    def oracle(self, inputs: Collection[str]) -> FloatArray:
        """Lesions x classes: the posterior given these views and metadata fields, the prior for none.

        A field that is not known adds nothing, and none does where metadata carry no signal. The order of
        the inputs does not count. Raises `CohortError` for anything else than a view or a field.
        """
        for one in inputs:
            if one not in (*VIEWS, *FIELDS):
                known = (*VIEWS, *FIELDS)
                raise CohortError(
                    f"input {one!r} is unknown; there are {', '.join(known)}{did_you_mean(one, known)}"
                )
        log = np.tile(np.log(_prior()), (len(self.truth), 1))
        for place, view in enumerate(VIEWS):
            if view in inputs:
                log += self.sharpness * self.vectors[:, place]
        for place, field in enumerate(FIELDS):
            if field in inputs and self.metadata_signal:
                log += _log_shares()[field][self.told[:, place]]
        weights = np.exp(log - log.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def patient(self, index: int) -> PatientMetadata:
        """What is known of one lesion's patient."""
        age, sex, site = self.told[index].tolist()
        return PatientMetadata(
            age_years=None if age < 0 else float(age * _STEP),
            sex=None if sex < 0 else _SEXES[sex],
            site=None if site < 0 else SITES[SITE_TERMS[site]],
        )

    def cases(self, folds: int = 5) -> list[FusionCase]:
        """The lesions for fitting a fuser, lesion i in fold i modulo `folds`; every one has both views.

        Raises `CohortError` for fewer than two folds or than one lesion a fold.
        """
        if not 2 <= folds <= len(self.truth):
            raise CohortError(
                f"{len(self.truth)} lesions cannot lie in {folds} folds; 2 are needed, none empty"
            )
        ids = answer_partition().ids
        prior = LeafProbabilities.from_weights(ids, _prior())
        said = [self.oracle((view,)) for view in VIEWS]
        return [
            FusionCase(
                lesion=f"{self.name}_{k:06d}",
                cohort="synthetic",
                fold=k % folds,
                evidence=tuple(
                    Evidence(view, LeafProbabilities(ids, rows[k]), prior, 1)
                    for view, rows in zip(VIEWS, said, strict=True)
                ),
                patient=self.patient(k),
                truth=ids[place],
            )
            for k, place in enumerate(self.truth.tolist())
        ]


def answers_of(
    lesions: int, seed: int, *, sharpness: float = SHARPNESS, metadata_signal: bool = True
) -> PerfectAnswers:
    """The first lesions of a seed's natural cohort: class and patient are those of `make_lesion`.

    Lesion i is the same however many there are. Raises `CohortError` for no lesion, a negative seed or a
    sharpness that is no finite number >= 0.
    """
    _check(lesions, seed, sharpness)
    places = {c.label: k for k, c in enumerate(CLASSES)}
    truth = np.array([places[class_of(seed, k).label] for k in range(lesions)], np.int64)
    people = [person_of(seed, k, signal=metadata_signal) for k in range(lesions)]
    shape = len(VIEWS), len(CLASSES)
    noise = np.stack([np.random.default_rng([seed, k, _ANSWER]).normal(size=shape) for k in range(lesions)])
    return _seen(f"SYN_{seed}", truth, people, noise, sharpness, metadata_signal=metadata_signal)


def independent_answers(
    lesions: int, seed: int, *, sharpness: float = SHARPNESS, metadata_signal: bool = True
) -> PerfectAnswers:
    """Lesions drawn one independent of the other from the population that the cohorts follow.

    They are none of a cohort's. Raises `CohortError` as `answers_of` does.
    """
    _check(lesions, seed, sharpness)
    chance = np.random.default_rng([seed, lesions, _ANSWER, _ANSWER])
    truth, other = chance.choice(len(CLASSES), size=(2, lesions), p=_prior())
    befallen = truth if metadata_signal else other
    people = [person_with(CLASSES[k].habit, chance) for k in befallen.tolist()]
    noise = chance.normal(size=(lesions, len(VIEWS), len(CLASSES)))
    return _seen(f"SYN_sample_{seed}", truth, people, noise, sharpness, metadata_signal=metadata_signal)


def _check(lesions: int, seed: int, sharpness: float) -> None:
    if lesions < 1 or seed < 0:
        raise CohortError(f"{lesions} lesions of seed {seed}; at least one lesion and a seed >= 0 are needed")
    if not (math.isfinite(sharpness) and sharpness >= 0):
        raise CohortError(f"sharpness is {sharpness!r}; a finite number >= 0 is needed")


def _seen(
    name: str,
    truth: IntArray,
    people: Sequence[Person],
    noise: FloatArray,
    sharpness: float,
    *,
    metadata_signal: bool,
) -> PerfectAnswers:
    noise[np.arange(len(truth)), :, truth] += sharpness
    told = [
        (
            int(one.age) // _STEP if one.age else -1,
            _SEXES.index(one.sex) if one.sex else -1,
            SITE_TERMS.index(one.site) if one.site else -1,
        )
        for one in people
    ]
    return PerfectAnswers(name, truth, noise, np.array(told, np.int64), sharpness, metadata_signal)


@cache
def _prior() -> FloatArray:
    """Share of each class in the population."""
    weights = np.array([c.weight for c in CLASSES], np.float64)
    return np.asarray(weights / weights.sum())


@cache
def _log_shares() -> Mapping[str, FloatArray]:
    """Field to values x classes: log P(value | class), and a last row of 0 for what is not known."""
    habits = [c.habit for c in CLASSES]
    shares = {
        "age_years": np.stack([_age_shares(h) for h in habits], axis=1),
        "sex": np.array([[h.female, 1 - h.female] for h in habits]).T,
        "site": np.array([np.array(h.sites) / sum(h.sites) for h in habits]).T,
    }
    with np.errstate(divide="ignore"):  # a site that a class never befalls rules the class out
        return {field: np.log(np.vstack([table, np.ones(len(habits))])) for field, table in shares.items()}


def _age_shares(habit: Habit) -> FloatArray:
    """P(age) for 0, 5, ..., 90 years: a normal cut off at both ends and rounded, by its distribution."""
    from scipy.special import ndtr

    edges = np.arange(_STEP / 2, _OLDEST, _STEP)
    scaled = (np.concatenate([[-np.inf], edges, [np.inf]]) - habit.age_mean) / habit.age_deviation
    low, high = scaled[:-1], scaled[1:]
    # In the upper tail both values are nearly 1; mirrored, their difference keeps its digits.
    flipped = low > 0
    low, high = np.where(flipped, -high, low), np.where(flipped, -low, high)
    return np.asarray(ndtr(high) - ndtr(low))
