"""How does a caller get the pixels of a file?

Files from outside: `decode`, or a `Decoder` with limits of its own. Files of ours: `decode_here`.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any, Self

import numpy as np

from core import errors
from modalities.images.child import Child
from modalities.images.header import check_bytes
from modalities.images.limits import Limits
from modalities.images.pixels import DecodedImage, check_target, decode_pixels
from modalities.images.source import read_source
from modalities.images.worker import request

Source = bytes | str | os.PathLike[str]
Root = str | os.PathLike[str]

_LIMITS = Limits()
_FAULTS = {
    fault.__name__: fault
    for fault in (
        errors.CorruptImage,
        errors.ImageTooLarge,
        errors.ImageTooSmall,
        errors.MultiFrame,
        errors.UnsupportedPixels,
    )
}
