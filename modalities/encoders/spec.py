"""What does a plugin's author write? One line that turns an encoder into a modality."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from core.protocols import ModalityModel
from modalities.encoders.encoder import Encoder
from plugins.specs import ModalitySpec, ModelRequest


@dataclass(frozen=True, kw_only=True)
class EncoderModality(ModalitySpec):
    """A modality whose model is a frozen encoder and the linear head of the model set's bundle.

    `encoder` makes the encoder, when one is needed. `reads` is the modality of the images that the head is
    fitted on: `name` itself, or another one that two models shall then speak of.
    """

    encoder: Callable[[], Encoder]
    reads: str


def modality_from_encoder(
    name: str, title: str, encoder_factory: Callable[[], Encoder], reads: str | None = None
) -> EncoderModality:
    """A spec for `dxtree_modalities`, used by pipelines whose model set holds a head fitted on the encoder.

    `encoder_factory` waits until a head is fitted or a case has such an image, and may import what it likes.
    `reads` is the modality of the cohort's images to fit on, `name` unless given.
    """
    load = partial(_load, name, encoder_factory)
    seen = reads or name
    card = f"""A linear head on the frozen encoder {name!r}, for images of the modality {seen!r}. What the
head was fitted on, how good it is and where it fails stands in the card of the model set.
"""
    return EncoderModality(
        name, title, load, needs_bundle=True, card=card, encoder=encoder_factory, reads=seen
    )


def _load(name: str, encoder_factory: Callable[[], Encoder], request: ModelRequest) -> ModalityModel:
    from modalities.encoders.model import load_model

    return load_model(request, name, encoder_factory)
