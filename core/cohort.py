"""What is one labelled image of a data set, and which images show one lesion?

A cohort is a list of `LabelledImage`. Adapters read public layouts into it; training, fusion and
evaluation read nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.case import PatientMetadata
from core.errors import CohortError


@dataclass(frozen=True)
class LabelledImage:
    """One image with its truth. `label` is a node of the taxonomy, a leaf or an inner one.

    `lesion` groups images that must never be separated. `official` is the cohort's own class and
    `groups` holds what subgroup tables need; neither is ever an input of a model. `person` is the patient's
    pseudonym within the cohort, where it is known: it groups images and is never an input either. An
    `overview` shows a region of the body rather than one lesion.
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
    person: str | None = None
    overview: bool = False


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
