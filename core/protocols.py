"""What must a model, a fuser and an adjustment look like, so that the pipeline can call them unseen?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from core.case import ImageInput, PatientMetadata
from core.checks import Check
from core.probabilities import LeafProbabilities


@dataclass(frozen=True)
class ImageResult:
    """What a model says about one image.

    `notes` tell what was done to the image ("transparent pixels were put on white"); `concerns` say why
    the image should not be judged at all ("blurred"): an image with one is left out of the answer, whatever
    the pipeline's gate policy. `checks` are what was looked for, each with its score: what is done about a
    flagged one is for the policy to say. Their names differ.
    """

    probabilities: LeafProbabilities
    notes: tuple[str, ...] = ()
    concerns: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What one modality says about a case: the mean over its `images` images, and the training prior.

    The prior travels with the probabilities; without it two modalities would count it twice. A class
    whose prior is 0 was never shown to the model, which therefore says nothing about it.

    `each` keeps what every one of those images said, in order, and `numbers` its place among the images of
    the modality in the case, from 1. Both may be empty, which means not kept. No fuser reads them.
    """

    modality: str
    probabilities: LeafProbabilities
    prior: LeafProbabilities
    images: int
    each: tuple[LeafProbabilities, ...] = field(default=(), repr=False, compare=False)
    numbers: tuple[int, ...] = field(default=(), repr=False, compare=False)


@runtime_checkable
class ModalityModel(Protocol):
    """A trained model of one modality.

    `classes` are the ids of the training classes in order and equal those of the pipeline's partition;
    `prior` is the share of each class in what the model was shown; `provenance` names model, version and
    digest for the answer. `predict` answers for every image, in order, and neither changes nor keeps
    them; the same images give the same bits, whatever else is in the call. It raises `InputError` for an
    image at fault and anything else for a fault of its own.

    `core.diagnose_many` calls `predict` from several threads, one at a time. A model that can do more may
    have a method `side_by_side(calls: int) -> ModalityModel`: the same model, to the bit, whose `predict`
    that many threads may call at the same time, each call taking about one core. It is asked for once a
    stream, so what is costly to build should be kept.
    """

    @property
    def modality(self) -> str:
        """Name of the modality."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Ids of the training classes, in order."""
        ...

    @property
    def prior(self) -> LeafProbabilities:
        """Share of each class in what the model was shown."""
        ...

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version and digest, for the answer."""
        ...

    def predict(self, images: Sequence[ImageInput]) -> Sequence[ImageResult]:
        """One result an image, in order."""
        ...


@runtime_checkable
class Fuser(Protocol):
    """Combines the evidence of any subset of modalities, at least one, with whatever metadata is known.

    The order of `evidence` never changes a bit. With one modality and no metadata the answer is that
    modality's probabilities, to the bit. `used` names the metadata fields that entered the answer. A fuser
    that takes certain modalities only may say which by an attribute `modalities`.

    A fuser may have a method `prior(patient) -> LeafProbabilities | None`: what it says from the metadata
    alone, without any image, `None` where it has no such answer. For a patient of whom nothing is known it
    is the mixture of classes that its answers are right in, unless an attribute `mixture`, itself
    `LeafProbabilities`, says another.
    """

    @property
    def name(self) -> str:
        """Name of the fuser."""
        ...

    @property
    def provenance(self) -> Mapping[str, str]:
        """Name, version and digest, for the answer."""
        ...

    def fuse(self, evidence: Sequence[Evidence], patient: PatientMetadata) -> LeafProbabilities:
        """Probabilities of the training classes."""
        ...

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:
        """Names of the metadata fields that enter the answer."""
        ...


@runtime_checkable
class Adjustment(Protocol):
    """What follows fusion: takes probabilities of the training classes and answers with others.

    The same probabilities give the same bits. One that changes the mixture of classes in which answers are
    right, as a calibration fitted on the lesions of one clinic does, says so by an attribute `mixture`,
    which is `LeafProbabilities`.
    """

    @property
    def name(self) -> str:
        """Name of the adjustment."""
        ...

    @property
    def provenance(self) -> Mapping[str, str]:
        """What it was fitted on or asked for, for the answer."""
        ...

    def apply(self, leaf: LeafProbabilities) -> LeafProbabilities:
        """The adjusted probabilities, over the same classes."""
        ...
