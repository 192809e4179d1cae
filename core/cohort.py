"""What is one labelled image of a data set, and how are lesions split so that none leaks?

A cohort is a list of `LabelledImage`. Adapters read public layouts into it; training, fusion and
evaluation read nothing else.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.case import PatientMetadata
from core.errors import CohortError, LeakageError

TRAINING, VALIDATION = "training", "validation"


@dataclass(frozen=True)
class LabelledImage:
    """One image with its truth. `label` is a node of the taxonomy, a leaf or an inner one.

    `lesion` groups images that must never be separated. `official` is the cohort's own class and
    `groups` holds what subgroup tables need; neither is ever an input of a model.
    """

    image: str
    lesion: str
    modality: str
    path: Path
    label: str
    patient: PatientMetadata
    cohort: str
    official: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Lesion:
    """All images of one lesion within one cohort: what a case is, with its truth."""

    lesion: str
    cohort: str
    label: str
    official: str | None
    patient: PatientMetadata
    images: tuple[LabelledImage, ...]
    groups: Mapping[str, str]


def lesions(images: Iterable[LabelledImage]) -> list[Lesion]:
    """Groups images by cohort and lesion, sorted by both.

    Raises `CohortError` where the images of one lesion carry different labels in one cohort.
    """
    grouped: dict[tuple[str, str], list[LabelledImage]] = defaultdict(list)
    for image in images:
        grouped[image.cohort, image.lesion].append(image)
    found = []
    for (cohort, name), members in sorted(grouped.items()):
        first = members[0]
        for other in members[1:]:
            if other.label != first.label:
                raise CohortError(
                    f"{cohort}: lesion {name} is labelled {first.label!r} and "
                    f"{other.label!r}; one truth is needed"
                )
        ordered = tuple(sorted(members, key=lambda i: (i.modality, i.image)))
        found.append(Lesion(name, cohort, first.label, first.official, first.patient, ordered, first.groups))
    return found


@dataclass(frozen=True)
class Split:
    """Which lesion belongs to which part, and to which fold within the training part.

    `part` maps a lesion to "training" or "validation"; `fold` maps a training lesion to 0 .. folds - 1.
    """

    part: Mapping[str, str]
    fold: Mapping[str, int]
    folds: int
    seed: int

    def counts(self) -> dict[str, int]:
        """Number of lesions in each part."""
        return dict(sorted(Counter(self.part.values()).items()))

    def select(self, images: Iterable[LabelledImage], part: str) -> list[LabelledImage]:
        """The images whose lesion lies in this part. Raises `CohortError` for a lesion not in the split."""
        return [i for i in images if self.part_of(i) == part]

    def part_of(self, image: LabelledImage) -> str:
        """The part of an image's lesion. Raises `CohortError` where the split does not hold the lesion."""
        try:
            return self.part[image.lesion]
        except KeyError:
            raise CohortError(
                f"lesion {image.lesion} of {image.cohort} is not in the split; "
                "make the split over all cohorts"
            ) from None


def split_by_lesion(
    images: Sequence[LabelledImage], *, validation: float = 0.2, folds: int = 3, seed: int = 0
) -> Split:
    """Splits the union of all cohorts by lesion id, stratified by label.

    The place of a lesion depends on its id, its label and the seed alone, through a hash, not on the
    order of the images. `validation` is the fraction of lesions of each label held out, in [0, 1).
    A lesion with several labels (two cohorts may name it at different depths) counts with the most
    frequent, the first in alphabetical order among equals.
    """
    if not 0 <= validation < 1 or folds < 2:
        raise CohortError("validation must lie in [0, 1) and folds must be at least 2")
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        labels[image.lesion][image.label] += 1
    strata: dict[str, list[str]] = defaultdict(list)
    for lesion, counted in labels.items():
        strata[min(counted, key=lambda name: (-counted[name], name))].append(lesion)
    part: dict[str, str] = {}
    fold: dict[str, int] = {}
    start = 0
    for label in sorted(strata):
        ordered = sorted(strata[label], key=_shuffled(seed))
        held = round(validation * len(ordered))
        part.update((lesion, VALIDATION if k < held else TRAINING) for k, lesion in enumerate(ordered))
        for k, lesion in enumerate(ordered[held:]):
            fold[lesion] = (start + k) % folds
        start += len(ordered) - held
    return Split(part, fold, folds, seed)


def check_no_leak(
    first: Iterable[LabelledImage], second: Iterable[LabelledImage], names: tuple[str, str]
) -> None:
    """Raises `LeakageError` where a lesion or an image stands in both lists; it says how many and which."""
    a, b = list(first), list(second)
    shared = sorted({i.lesion for i in a} & {i.lesion for i in b})
    shared = shared or sorted({i.image for i in a} & {i.image for i in b})
    if shared:
        raise LeakageError(
            f"{len(shared)} lesions stand in {names[0]} and in {names[1]}, {shared[0]} for one; "
            "split by lesion over the union of the cohorts"
        )


def _shuffled(seed: int) -> Callable[[str], str]:
    return lambda lesion: hashlib.sha256(f"{seed}:{lesion}".encode()).hexdigest()
