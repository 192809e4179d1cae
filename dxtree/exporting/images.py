"""Which images calibrate and which check, and what does the net see of one?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.cohort import LabelledImage, Lesion, lesions
from core.errors import CohortError
from core.split import TRAINING, VALIDATION, check_no_leak
from modalities.cnn.preprocess import Preprocessing, planes_of
from modalities.engines import FloatArray

PartOf = Callable[[LabelledImage], str | None]
"""The part of an image's lesion: "training", "validation", or `None` where it has none."""


@dataclass(frozen=True)
class Chosen:
    """Images of training lesions that calibrate, and lesions held out of training that check."""

    calibration: tuple[LabelledImage, ...]
    validation: tuple[Lesion, ...]

    @property
    def images(self) -> int:
        """Number of images that check."""
        return sum(len(lesion.images) for lesion in self.validation)


def choose(
    images: Sequence[LabelledImage],
    modality: str,
    part_of: PartOf,
    *,
    calibration: int,
    most: int | None = None,
) -> Chosen:
    """Draws both by a hash of their ids, so that the order of the images does not matter.

    `calibration` images of training lesions, fewer where there are fewer; and all validation lesions, or as
    many whole ones as hold at most `most` images, at least one. Raises `CohortError` where either is empty or
    a number is below 1, `LeakageError` where an image stands in both.
    """
    if calibration < 1 or (most is not None and most < 1):
        raise CohortError("the numbers of calibration and validation images are at least 1")
    own = [i for i in images if i.modality == modality]
    if not own:
        known = ", ".join(sorted({i.modality for i in images})) or "no images at all"
        raise CohortError(f"the cohorts hold no {modality} images, but {known}")
    parts = {part: [i for i in own if part_of(i) == part] for part in (TRAINING, VALIDATION)}
    for part, found in parts.items():
        if not found:
            raise CohortError(
                f"none of the {len(own)} {modality} images is of a {part} lesion; give the cohorts that the "
                "bundle was trained on, and its own split"
            )
    check_no_leak(parts[TRAINING], parts[VALIDATION], (TRAINING, VALIDATION))
    drawn = sorted(parts[TRAINING], key=lambda i: _place(i.cohort, i.image))[:calibration]
    return Chosen(tuple(drawn), tuple(_up_to(lesions(parts[VALIDATION]), most)))


def seen(image: LabelledImage, preprocessing: Preprocessing) -> FloatArray:
    """What the net sees of an image, float32 1 x 3 x H x W: decoded and preprocessed as for a diagnosis.

    Raises `InputError` where the file cannot be read.
    """
    return preprocessing.normalise(planes_of(preprocessing.read(image.path).padded))[None]


def _up_to(every: list[Lesion], most: int | None) -> list[Lesion]:
    if most is None:
        return every
    kept: list[Lesion] = []
    count = 0
    for lesion in sorted(every, key=lambda x: _place(x.cohort, x.lesion)):
        count += len(lesion.images)
        if kept and count > most:
            break
        kept.append(lesion)
    return kept


def _place(cohort: str, name: str) -> str:
    return hashlib.sha256(f"{cohort}:{name}".encode()).hexdigest()
