"""How does a file from a stranger become pixels without harming anybody? See `decode`."""

from modalities.images.decoder import Decoder, decode, decode_here
from modalities.images.limits import Limits
from modalities.images.pixels import DecodedImage

__all__ = ["DecodedImage", "Decoder", "Limits", "decode", "decode_here"]
