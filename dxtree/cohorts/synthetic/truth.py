"""What is the truth about one synthetic lesion: its diagnosis, its patient and how it came to look?

Everything follows from the seed and the lesion's index, each part through a stream of its own, so that
switching one part off leaves the others as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from dxtree.cohorts.synthetic.classes import CLASSES, SITE_TERMS, Habit, Look, SyntheticClass

PATIENT, LESION, CLINICAL, DERMOSCOPY, ORDER = range(5)
"""Streams of random numbers of one lesion; `ORDER` is that of one run of lesions."""

_GOLDEN = (5**0.5 - 1) / 2
_MISSING_AGE, _MISSING_SEX, _MISSING_SITE = 0.08, 0.06, 0.10
_TONES = (6, 10, 16, 26, 26, 16)
HARMONICS = np.arange(2, 10)


@dataclass(frozen=True)
class Person:
    """A patient as a table's row tells of him. Age is in years, rounded to 5; `""` is not known."""

    age: str
    sex: Literal["female", "male", ""]
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
    return CLASSES[_pick(_WEIGHTS, place)]


def person_of(seed: int, index: int, *, signal: bool) -> Person:
    """Age, sex and site, some of them not known, whatever the diagnosis.

    Without `signal` they are those of a random diagnosis: each has the same distribution over the cohort
    and says nothing about the lesion.
    """
    chance = stream(seed, index, PATIENT)
    other = CLASSES[_pick(_WEIGHTS, chance.random())]
    return person_with((class_of(seed, index) if signal else other).habit, chance)


def person_with(habit: Habit, chance: np.random.Generator) -> Person:
    """One of those whom a diagnosis befalls."""
    age = round(min(max(chance.normal(habit.age_mean, habit.age_deviation), 0.0), 90.0) / 5) * 5
    sex: Literal["female", "male"] = "female" if chance.random() < habit.female else "male"
    site = SITE_TERMS[_pick(habit.sites, chance.random())]
    gaps = chance.random(3) < (_MISSING_AGE, _MISSING_SEX, _MISSING_SITE)
    return Person("" if gaps[0] else str(age), "" if gaps[1] else sex, "" if gaps[2] else site)


def traits_of(seed: int, index: int) -> Traits:
    """How the lesion came to look: its class's look with the spread of one lesion around it."""
    chance = stream(seed, index, LESION)
    return traits_with(_look_of(class_of(seed, index), chance), chance)


def traits_with(mean: Look, chance: np.random.Generator) -> Traits:
    """One lesion's look around a mean, with an outline and a skin of its own."""
    border = mean.border * chance.lognormal(0.0, 0.30)
    look = replace(
        mean,
        melanin=mean.melanin * chance.lognormal(0.0, 0.16),
        haem=mean.haem * chance.lognormal(0.0, 0.16),
        border=border,
        variegation=mean.variegation * chance.lognormal(0.0, 0.25),
        elevation=max(0.0, mean.elevation + chance.normal(0.0, 0.10)),
        scale=mean.scale * chance.lognormal(0.0, 0.25),
        crust=mean.crust * chance.lognormal(0.0, 0.25),
    )
    size = 0.5 * border * chance.rayleigh(1.0, len(HARMONICS)) / HARMONICS**1.1
    turn = chance.uniform(0.0, 2 * np.pi, len(HARMONICS))
    return Traits(
        look=look,
        tone=_pick(_TONES, chance.random()),
        bend=(size * np.exp(1j * turn)).astype(np.complex64),
        aspect=float(chance.uniform(*mean.aspect)),
        clarity=float(chance.uniform(0.55, 1.0)),
    )


def _look_of(own: SyntheticClass, chance: np.random.Generator) -> Look:
    below = [(c.look, c.weight) for c in CLASSES if c.look and c.path[: len(own.path)] == own.path]
    return below[_pick([weight for _, weight in below], chance.random())][0]


def _pick(weights: Sequence[float], place: float) -> int:
    """Which of the weights, laid end to end and scaled to 1, lies over a place in [0, 1)."""
    ends = np.cumsum(weights)
    return min(int(np.searchsorted(ends, place * ends[-1], side="right")), len(ends) - 1)


_WEIGHTS = tuple(c.weight for c in CLASSES)
