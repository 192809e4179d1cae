"""How is a file of a confocal microscope read?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modalities.stacks.limits import LIMITS
from modalities.stacks.reading import read_in_child
from modalities.stacks.stack import Stack

_LIMITS = replace(LIMITS, min_side=64)


def read(source: bytes | Path) -> Stack:
    """A stack, a mosaic or one plane of TIFF, PNG, BMP or DICOM; see `modalities.confocal.parse`.

    Raises what `modalities.stacks.reading.read_in_child` raises.
    """
    return read_in_child("modalities.confocal.parse", source, _LIMITS)
