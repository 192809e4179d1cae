"""What do the images say without the patient? The arithmetic mean over the modalities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.case import PatientMetadata
from core.errors import BundleError
from core.manifest import Bundle
from core.partition import Partition
from core.probabilities import LeafProbabilities, mean
from core.protocols import Evidence
from fusion.evidence import in_order

NAME = "image_only"


@dataclass(frozen=True)
class ImageOnly:
    """Every modality counts the same, however many images it has; metadata is ignored."""

    partition: Partition

    @property
    def name(self) -> str:
        """Always `image_only`."""
        return NAME

    @property
    def provenance(self) -> Mapping[str, str]:
        """The rule; there is nothing else to it."""
        return {"rule": "arithmetic mean over modalities"}

    def fuse(
        self,
        evidence: Sequence[Evidence],
        patient: PatientMetadata,  # noqa: ARG002 - the protocol has it
    ) -> LeafProbabilities:
        """The mean; of one modality, its probabilities to the bit. Errors are those of `in_order`."""
        return mean(e.probabilities for e in in_order(evidence, self.partition))

    def prior(self, patient: PatientMetadata) -> None:
        """`None`: without an image it says nothing."""

    def used(self, patient: PatientMetadata) -> tuple[str, ...]:  # noqa: ARG002 - the protocol has it
        """Nothing, whatever is known."""
        return ()


def load(partition: Partition, bundle: Bundle | None) -> ImageOnly:
    """The fuser itself. Raises `BundleError` where a bundle is given: there is nothing to read from one."""
    if bundle is not None:
        raise BundleError(f"the {NAME} fuser learns nothing and takes no bundle")
    return ImageOnly(partition)
