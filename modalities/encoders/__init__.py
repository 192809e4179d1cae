"""How does an encoder of others become a modality? It stays as it is, and a linear head is fitted on it."""

from modalities.encoders.encoder import ByteArray, Encoder, FloatArray
from modalities.encoders.spec import EncoderModality, modality_from_encoder

__all__ = ["ByteArray", "Encoder", "EncoderModality", "FloatArray", "modality_from_encoder"]
