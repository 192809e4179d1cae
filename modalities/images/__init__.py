"""How does a file from a stranger become pixels without harming anybody? See `decode`."""

from modalities.images.decoded import DecodedImage
from modalities.images.decoder import Decoder, decode, decode_here, decode_square, start_decoder
from modalities.images.limits import Limits
from modalities.images.square import Square, SquareImage

__all__ = [
    "DecodedImage",
    "Decoder",
    "Limits",
    "Square",
    "SquareImage",
    "decode",
    "decode_here",
    "decode_square",
    "start_decoder",
]
