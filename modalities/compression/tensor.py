"""A tensor most of whose elements are zero and whose others share a few values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import ContractError

MOST_ELEMENTS = 2**28
"""Elements of a tensor, at most."""
MOST_VALUES = 2**16
"""Values that the elements of a tensor share, at most."""


@dataclass(frozen=True, eq=False)
class SharedTensor:
    """Element `positions[i]`, counted in C order, is `codebook[indices[i]]`; every other is zero.

    `codebook` float32, finite, at most 65536 values; `indices` uint16 and `positions` int64, which ascend, of
    one length. Raises `ContractError` for anything else.
    """

    shape: tuple[int, ...]
    codebook: npt.NDArray[np.float32]
    indices: npt.NDArray[np.uint16]
    positions: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        if any(side < 0 for side in self.shape) or self.elements > MOST_ELEMENTS:
            raise ContractError(f"a shared tensor has at most {MOST_ELEMENTS} elements, not {self.shape}")
        indices, positions = np.asarray(self.indices), np.asarray(self.positions)
        codebook = np.asarray(self.codebook)
        if codebook.dtype != np.float32 or codebook.ndim != 1 or not np.isfinite(codebook).all():
            raise ContractError("a codebook must be a row of finite float32 values")
        if len(codebook) > MOST_VALUES:
            raise ContractError(f"a codebook has at most {MOST_VALUES} values, not {len(codebook)}")
        if indices.dtype.kind not in "iu" or positions.dtype.kind not in "iu":
            raise ContractError("indices and positions must be integers")
        if indices.shape != positions.shape or indices.ndim != 1:
            raise ContractError("indices and positions must be rows of one length")
        if len(indices) and (int(indices.min()) < 0 or int(indices.max()) >= len(codebook)):
            raise ContractError("an index lies outside of the codebook")
        positions = positions.astype(np.int64)
        if len(positions) and (positions[0] < 0 or positions[-1] >= self.elements):
            raise ContractError("a position lies outside of the tensor")
        if (np.diff(positions) <= 0).any():
            raise ContractError("positions must ascend, each named once")
        object.__setattr__(self, "shape", tuple(int(side) for side in self.shape))
        object.__setattr__(self, "indices", indices.astype(np.uint16))
        object.__setattr__(self, "positions", positions)

    @classmethod
    def of(
        cls, array: npt.NDArray[np.generic], codebook: npt.NDArray[np.float32] | None = None
    ) -> SharedTensor:
        """A float16 or float32 array, exactly; only the sign of a zero, which pruning leaves, is not kept.

        `codebook` must hold every value but zero; without one it is those that occur, ascending. Raises
        `ContractError` for values that are not in it, not finite, or more than 65536.
        """
        if array.dtype not in (np.float16, np.float32):
            raise ContractError(f"a shared tensor is made of float16 or float32, not {array.dtype}")
        bits = np.ascontiguousarray(array, np.float32).ravel().view(np.uint32)
        positions = np.flatnonzero(bits & 0x7FFFFFFF)
        if codebook is None:
            found, indices = np.unique(bits[positions], return_inverse=True)
            values = found.view(np.float32)
            order = np.argsort(values, kind="stable")
            if len(found) > MOST_VALUES:
                raise ContractError(f"the tensor has {len(found)} values; share at most {MOST_VALUES}")
            place = np.empty_like(order)
            place[order] = np.arange(len(order))
            return cls(array.shape, values[order], place[indices].astype(np.uint16), positions)
        own = np.ascontiguousarray(codebook, np.float32).view(np.uint32)
        order = np.argsort(own, kind="stable")
        at = np.searchsorted(own[order], bits[positions]).clip(max=max(0, len(own) - 1))
        if len(positions) and (not len(own) or (own[order][at] != bits[positions]).any()):
            raise ContractError("a value of the tensor is not in the codebook")
        indices = order[at] if len(own) else np.zeros(0, np.int64)
        return cls(array.shape, own.view(np.float32), indices.astype(np.uint16), positions)

    @property
    def elements(self) -> int:
        """How many, zeros included; 1 for a scalar."""
        return math.prod(self.shape)

    def dense(self) -> npt.NDArray[np.float32]:
        """All elements, in the shape."""
        out = np.zeros(self.elements, np.float32)
        out[self.positions] = self.codebook[self.indices]
        return out.reshape(self.shape)
