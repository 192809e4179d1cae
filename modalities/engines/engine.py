"""What must every runtime of a net look like to its caller?"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.errors import NonFiniteOutput

FloatArray = npt.NDArray[np.float32]


class Engine(Protocol):
    """Runs one net. `__call__` takes float32 N x 3 x H x W and answers float32 N x classes, thread-safely."""

    name: str

    def __call__(self, images: FloatArray) -> FloatArray:
        """Logits of preprocessed images. Raises `ContractError` where the net cannot take them."""
        ...


def finite(logits: FloatArray) -> FloatArray:
    """The logits themselves. Raises `NonFiniteOutput` where one is NaN or infinite."""
    if not np.isfinite(logits).all():
        raise NonFiniteOutput("the net answered with a number that is not finite")
    return logits
