"""What is one synthetic lesion: its views, its patient and its truth, in memory?"""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from core.case import Case, ImageInput, PatientMetadata
from core.errors import CohortError, did_you_mean
from dxtree.cohorts.isic import SITES
from dxtree.cohorts.synthetic.signal import leaf_of, signal_classes, signal_person, signal_traits
from dxtree.cohorts.synthetic.truth import Person, Traits, class_of, person_of, traits_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from dxtree.cohorts.synthetic.canvas import ByteImage

DEFAULT_SIZE = 192
VIEWS = ("clinical", "dermoscopy")
"""The modalities that a synthetic lesion is seen with."""

FineSignal = Literal["natural", "yes", "no"]
"""What the fine classes tell beyond the coarse ones: what the invented diagnoses do, all, or nothing."""

_SMALLEST, _LARGEST, _QUALITY = 64, 1024, 90


@dataclass(frozen=True)
class SyntheticLesion:
    """One lesion with known truth.

    `label` is a node of `synthetic_taxonomy()`, or of `fine_signal_taxonomy()` where that is asked for.
    """

    lesion: str
    label: str
    person: Person
    """Age, sex and site as a table's row holds them."""
    skin_tone: int
    """From 0 (very dark) to 5 (very light); it has nothing to do with the diagnosis."""
    images: Mapping[str, ByteImage]
    """One read-only uint8 picture, size x size x 3, for each view."""

    @property
    def patient(self) -> PatientMetadata:
        """Age, sex and site as a case holds them."""
        age, sex, site = self.person.age, self.person.sex, SITES[self.person.site]
        return PatientMetadata(age_years=float(age) if age else None, sex=sex or None, site=site)

    def image_id(self, view: str) -> str:
        """Name of a view's image; it tells nothing about the diagnosis."""
        return f"{self.lesion}_{view}"

    @property
    def jpegs(self) -> dict[str, bytes]:
        """Each view as a JPEG of quality 90."""
        return {view: _jpeg(pixels) for view, pixels in self.images.items()}

    def case(self) -> Case:
        """All views and what is known about the patient, ready for `core.diagnose`; without the truth."""
        images = tuple(ImageInput(modality=view, data=data) for view, data in self.jpegs.items())
        return Case(id=self.lesion, images=images, patient=self.patient)


def make_lesion(
    seed: int,
    index: int,
    *,
    size: int = DEFAULT_SIZE,
    metadata_signal: bool | None = None,
    views: Collection[str] = VIEWS,
    fine_signal: FineSignal = "natural",
) -> SyntheticLesion:
    """The lesion of this index in the cohort of this seed; nothing else decides on it.

    `size` is the side of the square pictures, 64 to 1024 pixels. With `metadata_signal` off, age, sex and
    site keep their distribution over the cohort and say nothing about the diagnosis; the pictures stay
    the same. It is on unless set for a natural cohort, off for the others. `fine_signal`: see
    `dxtree.cohorts.synthetic.signal`. Two runs give the same bytes on one machine; another version of
    NumPy or Pillow may round single pixels differently.

    Raises `CohortError` for a negative seed or index, a size out of range, an unknown view or signal.
    """
    check_options(seed=seed, index=index, size=size, views=views, fine_signal=fine_signal)
    told = fine_signal == "natural" if metadata_signal is None else metadata_signal
    label, person, traits = _truth(seed, index, fine_signal, metadata_signal=told)
    return SyntheticLesion(
        lesion=f"SYN_{'' if fine_signal == 'natural' else f'{fine_signal}_'}{seed}_{index:06d}",
        label=label,
        person=person,
        skin_tone=traits.tone,
        images=MappingProxyType({view: _paint(view, seed, index, traits, size) for view in views}),
    )


def true_mask(
    seed: int, index: int, view: str, *, size: int = DEFAULT_SIZE, fine_signal: FineSignal = "natural"
) -> npt.NDArray[np.bool_]:
    """Where the lesion of `make_lesion` lies in a view, bool size x size; hair over it counts as lesion.

    Raises `CohortError` as `make_lesion` does.
    """
    check_options(seed=seed, index=index, size=size, views=(view,), fine_signal=fine_signal)
    from dxtree.cohorts.synthetic.clinical import clinical_mask
    from dxtree.cohorts.synthetic.dermoscopy import dermoscopy_mask

    _, _, traits = _truth(seed, index, fine_signal, metadata_signal=False)
    masks = {"clinical": clinical_mask, "dermoscopy": dermoscopy_mask}
    return masks[view](seed, index, traits, size)


def _paint(view: str, seed: int, index: int, traits: Traits, size: int) -> ByteImage:
    # Drawing needs Pillow, and every start of the command line asks which cohorts there are.
    from dxtree.cohorts.synthetic.clinical import clinical_view
    from dxtree.cohorts.synthetic.dermoscopy import dermoscopy_view

    painters = {"clinical": clinical_view, "dermoscopy": dermoscopy_view}
    return painters[view](seed, index, traits, size)


def _truth(
    seed: int, index: int, fine_signal: FineSignal, *, metadata_signal: bool
) -> tuple[str, Person, Traits]:
    if fine_signal == "natural":
        person = person_of(seed, index, signal=metadata_signal)
        return class_of(seed, index).label, person, traits_of(seed, index)
    label = signal_classes(fine_signal)[leaf_of(seed, index)].label
    person = signal_person(seed, index, signal=metadata_signal)
    return label, person, signal_traits(fine_signal, seed, index)


def _jpeg(pixels: ByteImage) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def check_options(
    *, seed: int, index: int, size: int, views: Collection[str], fine_signal: str = "natural"
) -> None:
    """Raises `CohortError` for what no lesion can be made of."""
    if seed < 0 or index < 0:
        raise CohortError("seed and the index of a lesion must be whole numbers >= 0")
    if not _SMALLEST <= size <= _LARGEST:
        raise CohortError(f"size is {size}; synthetic images have {_SMALLEST} to {_LARGEST} pixels a side")
    for view in views:
        if view not in VIEWS:
            near = did_you_mean(view, VIEWS)
            raise CohortError(f"view {view!r} is unknown; there are {', '.join(VIEWS)}{near}")
    if fine_signal not in get_args(FineSignal):
        known = get_args(FineSignal)
        raise CohortError(
            f"fine_signal {fine_signal!r} is unknown; there are {', '.join(known)}"
            f"{did_you_mean(fine_signal, known)}"
        )
