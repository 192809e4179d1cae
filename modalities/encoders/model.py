"""An encoder and a fitted head as a modality's model: bundle on disk, images in, probabilities out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.case import ImageInput
from core.errors import ContractError
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from modalities.cnn.belonging import check_belongs, read_prior, read_temperature
from modalities.encoders.encoder import ByteArray, Encoder, embed, identity, preprocessing_of
from modalities.encoders.head import Head
from modalities.gate import SafetyGate
from modalities.images import decode
from plugins.specs import ModelRequest

WEIGHTS = "head.safetensors"


@dataclass(frozen=True)
class EncoderModel:
    """One modality's encoder with everything that was fitted. Satisfies `core.ModalityModel`.

    Images go through the encoder one by one, so that an answer does not depend on its neighbours by a bit.
    """

    modality: str
    prior: LeafProbabilities
    temperature: float
    encoder: Encoder
    head: Head
    provenance: Mapping[str, str]
    safety: SafetyGate | None = None
    """Checks with fitted thresholds; `None` where the training images were too few to fit any."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Ids of the training classes, in order."""
        return self.prior.classes

    def predict(self, images: Sequence[ImageInput]) -> list[ImageResult]:
        """One result an image, in order.

        Raises `InputError` for an image that cannot be read, and what `embed` raises.
        """
        return [self._one(image) for image in images]

    def square(self, image: ImageInput) -> tuple[ByteArray, tuple[str, ...]]:
        """What the encoder sees of an image, uint8 side x side x 3, and notes. Raises `InputError`."""
        decoded = decode(image.source, target_side=2 * self.encoder.side)
        return preprocessing_of(self.encoder).square(decoded.pixels), tuple(decoded.notes)

    def _one(self, image: ImageInput) -> ImageResult:
        square, notes = self.square(image)
        logits = self.head.logits(embed(self.encoder, square[None]))[0]
        answer = LeafProbabilities.from_logits(self.classes, logits / self.temperature)
        checks = self.safety.checks(square) if self.safety else ()
        return ImageResult(answer, notes, checks=checks)


def load_model(request: ModelRequest, modality: str, encoder_factory: Callable[[], Encoder]) -> EncoderModel:
    """Puts the head of a checked bundle behind the encoder that it was fitted on.

    Raises `ContractError` without a bundle, or where modality, classes, taxonomy or partition differ from the
    pipeline's or the encoder's digest, name, side or dimension from the bundle's.
    """
    partition, bundle = request.partition, request.bundle
    if bundle is None:
        raise ContractError(f"this model set has no bundle for {modality}; fit one with: dxtree fit-head")
    check_belongs(bundle, partition, modality, WEIGHTS)
    encoder = encoder_factory()
    _check_encoder(bundle.require("encoder", dict), identity(encoder))
    checks = bundle.manifest.get("checks")
    return EncoderModel(
        modality=modality,
        prior=read_prior(bundle, partition.ids),
        temperature=read_temperature(bundle),
        encoder=encoder,
        head=Head.from_bytes(bundle.files[WEIGHTS], len(partition.ids), encoder.dimension),
        provenance={
            "model": str(bundle.manifest.get("name", modality)),
            "architecture": bundle.require("architecture", str),
            "encoder": encoder.digest,
            "digest": bundle.digest,
            "licence": str(bundle.manifest.get("licence", "not stated")),
        },
        safety=None if checks is None else SafetyGate.from_dict(checks),
    )


def _check_encoder(fitted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for key, value in found.items():
        if fitted.get(key) != value:
            raise ContractError(
                f"the head was fitted on an encoder whose {key} is {fitted.get(key)!r}, and the one at hand "
                f"has {value!r}; give that encoder, or fit a head on this one with: dxtree fit-head"
            )
