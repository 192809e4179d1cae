"""What do the images of a cohort look like to the gate of each modality?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.case import ImageInput
from core.cohort import LabelledImage
from core.errors import CohortError, InputError
from modalities.cnn.preprocess import Preprocessing, planes_of
from modalities.gate import LOOKS, look
from modalities.gate.looks import FloatArray
from plugins.model_set import ModelSet

Progress = Callable[[int, int], None]
"""Images done, and images in all."""


@dataclass(frozen=True)
class Looked:
    """Statistics N x `LOOKS` of `images`, as one modality's net sees them."""

    images: tuple[LabelledImage, ...]
    looks: FloatArray

    @property
    def lesions(self) -> tuple[str, ...]:
        """The lesion of each image."""
        return tuple(image.lesion for image in self.images)


def chosen(
    images: Sequence[LabelledImage], models: ModelSet, part: str, most: int, seed: int = 0
) -> dict[str, list[LabelledImage]]:
    """By modality of the set, at most `most` images whose lesions had this part when the set was trained.

    Which ones is decided by seed and lesion, not by the order of the images. Raises `CohortError` where a
    modality of the set has none.
    """
    found: dict[str, list[LabelledImage]] = {}
    for modality in sorted(models.modalities):
        own = [i for i in images if i.modality == modality and models.part_of(i.lesion) == part]
        if not own:
            raise CohortError(f"no {modality} image of these cohorts is of a {part} lesion of this model set")
        found[modality] = sorted(own, key=lambda i: (_draw(seed, i), i.cohort, i.image))[:most]
    return found


def look_at(
    images: Sequence[LabelledImage], preprocessing: Preprocessing, progress: Progress | None = None
) -> Looked:
    """Looks at every image as a net with this preprocessing sees it; one that cannot be read is left out.

    Raises `CohortError` where that is more than 1 % of them.
    """
    kept: list[LabelledImage] = []
    rows: list[FloatArray] = []
    for k, image in enumerate(images, start=1):
        try:
            source = ImageInput(modality=image.modality, path=image.path).source
            rows.append(look(planes_of(preprocessing.read(source).padded)))
            kept.append(image)
        except InputError:
            continue
        finally:
            if progress is not None:
                progress(k, len(images))
    if len(images) - len(kept) > 0.01 * len(images):
        raise CohortError(
            f"{len(images) - len(kept)} of {len(images)} images cannot be read; at most 1 % may be"
        )
    return Looked(tuple(kept), np.stack(rows) if rows else np.empty((0, len(LOOKS))))


def preprocessings(models: ModelSet) -> Mapping[str, Preprocessing]:
    """By modality, what its net is shown; one whose bundle does not say so (an encoder's) is absent."""
    found: dict[str, Preprocessing] = {}
    for name in sorted(models.modalities):
        bundle = models.modality_bundle(name)
        if bundle is not None and "preprocessing" in bundle.manifest:
            found[name] = Preprocessing.from_dict(bundle.require("preprocessing", dict))
    return found


def _draw(seed: int, image: LabelledImage) -> bytes:
    return hashlib.sha256(f"{seed}:{image.lesion}".encode()).digest()
