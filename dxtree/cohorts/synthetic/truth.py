"""What is the truth about one synthetic lesion: its diagnosis, its patient and how it came to look?

Everything follows from the seed and the lesion's index, each part through a stream of its own, so that
switching one part off leaves the others as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dxtree.cohorts.synthetic.classes import CLASSES, SITE_TERMS, Look, SyntheticClass

FloatArray = npt.NDArray[np.float32]

TRUTH, PATIENT, LESION, CLINICAL, DERMOSCOPY = range(5)
"""Streams of random numbers of one lesion."""

_GOLDEN = (5**0.5 - 1) / 2
_MISSING_AGE, _MISSING_SEX, _MISSING_SITE = 0.08, 0.06, 0.10
_TONES = (0.06, 0.10, 0.16, 0.26, 0.26, 0.16)
HARMONICS = np.arange(2, 10)


@dataclass(frozen=True)
class Person:
    """A patient as a table's row tells of him. Age is in years, rounded to 5; `""` is not known."""

    age: str
    sex: str
    site: str


@dataclass(frozen=True)
class Traits:
    """What both views of one lesion share. The outline is a circle bent by `bend` at each harmonic."""

    look: Look
    tone: int
    """Skin tone from 0 (very dark) to 5 (very light)."""
    bend: npt.NDArray[np.complex64]
    aspect: float
    clarity: float
    """How distinct the dermoscopic pattern is, from 0 to 1."""


def stream(seed: int, index: int, part: int) -> np.random.Generator:
    """The random numbers of one part of one lesion."""
    return np.random.default_rng([seed, index, part])


def class_of(seed: int, index: int) -> SyntheticClass:
    """The lesion's label. Frequencies follow the weights closely in every run of indices."""
    # Multiples of the golden ratio fill [0, 1) evenly, so that a few hundred lesions hold the rare classes.
    place = (np.random.default_rng([seed]).random() + index * _GOLDEN) % 1.0
    return CLASSES[int(np.searchsorted(_SHARES, place, side="right"))]


def person_of(seed: int, index: int, *, signal: bool) -> Person:
    """Age, sex and site, some of them not known, whatever the diagnosis.

    Without `signal` they are those of a random diagnosis: each has the same distribution over the cohort
    and says nothing about the lesion.
    """
    chance = stream(seed, index, PATIENT)
    other = CLASSES[int(np.searchsorted(_SHARES, chance.random(), side="right"))]
    habit = (class_of(seed, index) if signal else other).habit
    age = round(min(max(chance.normal(habit.age_mean, habit.age_deviation), 0.0), 90.0) / 5) * 5
    sex = "female" if chance.random() < habit.female else "male"
    weights = np.array(habit.sites, float)
    site = SITE_TERMS[int(np.searchsorted(np.cumsum(weights / weights.sum()), chance.random(), side="right"))]
    gaps = chance.random(3) < (_MISSING_AGE, _MISSING_SEX, _MISSING_SITE)
    return Person("" if gaps[0] else str(age), "" if gaps[1] else sex, "" if gaps[2] else site)


def traits_of(seed: int, index: int) -> Traits:
    """How the lesion came to look: its class's look with the spread of one lesion around it."""
    chance = stream(seed, index, LESION)
    mean = _look_of(class_of(seed, index), chance)
    border = mean.border * chance.lognormal(0.0, 0.30)
    look = Look(
        melanin=mean.melanin * chance.lognormal(0.0, 0.16),
        haem=mean.haem * chance.lognormal(0.0, 0.16),
        border=border,
        variegation=mean.variegation * chance.lognormal(0.0, 0.25),
        elevation=max(0.0, mean.elevation + chance.normal(0.0, 0.10)),
        scale=mean.scale * chance.lognormal(0.0, 0.25),
        crust=mean.crust * chance.lognormal(0.0, 0.25),
        pattern=mean.pattern,
    )
    size = 0.5 * border * chance.rayleigh(1.0, len(HARMONICS)) / HARMONICS**1.1
    turn = chance.uniform(0.0, 2 * np.pi, len(HARMONICS))
    tone = int(np.searchsorted(np.cumsum(_TONES), chance.random(), side="right"))
    return Traits(
        look=look,
        tone=min(tone, len(_TONES) - 1),
        bend=(size * np.exp(1j * turn)).astype(np.complex64),
        aspect=float(chance.uniform(0.78, 1.0)),
        clarity=float(chance.uniform(0.55, 1.0)),
    )


def _look_of(own: SyntheticClass, chance: np.random.Generator) -> Look:
    looks = [c for c in CLASSES if c.look is not None and c.path[: len(own.path)] == own.path]
    weights = np.cumsum([c.weight for c in looks])
    drawn = looks[int(np.searchsorted(weights, chance.random() * weights[-1], side="right"))].look
    if drawn is None:
        raise AssertionError
    return drawn


_SHARES = np.cumsum([c.weight for c in CLASSES]) / sum(c.weight for c in CLASSES)
