"""Fitted concepts as a modality's model: bundle on disk, small files in, probabilities out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.case import ImageInput
from core.errors import ContractError
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.cnn.belonging import check_belongs, read_prior, read_temperature
from modalities.concepts.discriminant import Discriminant
from modalities.concepts.reader import read_concepts
from modalities.concepts.vocabulary import CONCEPTS
from plugins.specs import ModelRequest

NAME = "concepts"
FILE = "discriminant.safetensors"


@dataclass(frozen=True)
class ConceptModel:
    """Satisfies `core.ModalityModel`. An "image" is a file that `read_concepts` reads."""

    modality: str
    prior: LeafProbabilities
    temperature: float
    discriminant: Discriminant
    provenance: Mapping[str, str]

    @property
    def classes(self) -> tuple[str, ...]:
        """Ids of the training classes, in order."""
        return self.prior.classes

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result a file, in order. Raises `InputError` for one that cannot be read."""
        return [self._one(image) for image in images]

    def side_by_side(self, calls: int) -> ConceptModel:  # noqa: ARG002 - the protocol's signature
        """The same: nothing is kept between calls."""
        return self

    def _one(self, image: ImageInput) -> ImageResult:
        given = read_concepts(image.source)
        logits = self.discriminant.logits(given.scores) / self.temperature
        read = [c for c in self.discriminant.concepts if c in given.scores]
        lacking = [c for c in self.discriminant.concepts if c not in given.scores]
        unread = [c for c in given.scores if c not in self.discriminant.concepts]
        notes = [f"{len(read)} of {len(self.discriminant.concepts)} concepts are known"]
        notes += [f"not known, and left out of the answer: {', '.join(lacking)}"] if lacking else []
        notes += [f"given, and not read by this model: {', '.join(unread)}"] if unread else []
        notes += [] if read else ["no concept that the model reads is known: its answer is its prior"]
        return ImageResult(LeafProbabilities.from_logits(self.classes, logits), tuple(notes))


def load_model(request: ModelRequest) -> ConceptModel:
    """The model of a checked bundle.

    Raises `ContractError` without a bundle, or where modality, classes, taxonomy, partition or the list of
    concepts are not what they must be.
    """
    partition, bundle = request.partition, request.bundle
    if bundle is None:
        raise ContractError(f"this model set has no bundle for {NAME}; fit one with: dxtree fit-concepts")
    check_belongs(bundle, partition, NAME, FILE)
    names = bundle.require("concepts", list)
    if not names or len(set(names)) != len(names) or not set(names) <= set(CONCEPTS):
        raise ContractError(f"the bundle's concepts must be some of {', '.join(CONCEPTS)}, each once")
    prior = read_prior(bundle, partition.ids)
    return ConceptModel(
        modality=NAME,
        prior=prior,
        temperature=read_temperature(bundle),
        discriminant=Discriminant.from_bytes(bundle.files[FILE], tuple(names), prior.values),
        provenance={
            "model": str(bundle.manifest.get("name", NAME)),
            "architecture": bundle.require("architecture", str),
            "digest": bundle.digest,
            "licence": str(bundle.manifest.get("licence", "not stated")),
        },
    )
