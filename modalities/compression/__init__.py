"""How is a net with sparse, shared weights stored in few bytes, and read back?"""

from modalities.compression.decoding import decode
from modalities.compression.encoding import encode
from modalities.compression.sections import Section, sections
from modalities.compression.tensor import SharedTensor

__all__ = ["Section", "SharedTensor", "decode", "encode", "sections"]
