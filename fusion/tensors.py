"""How are a fuser's arrays kept? As float64 in one safetensors file, each checked for shape when read."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.errors import ContractError
from core.tree import FloatArray

Shapes = Mapping[str, tuple[int, ...]]


def pack(arrays: Mapping[str, FloatArray]) -> bytes:
    """The file's bytes: the same arrays give the same bytes."""
    return bytes(save({name: np.ascontiguousarray(a, np.float64) for name, a in sorted(arrays.items())}))


def unpack(content: bytes, shapes: Shapes) -> dict[str, FloatArray]:
    """The arrays, read-only. Raises `ContractError` for other names, shapes, types or values not finite."""
    try:
        found = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ContractError("the fuser's arrays cannot be read as safetensors") from error
    if found.keys() != shapes.keys():
        raise ContractError(f"the fuser's arrays must be {', '.join(sorted(shapes))}")
    for name, array in found.items():
        if array.shape != shapes[name] or array.dtype != np.float64 or not np.isfinite(array).all():
            raise ContractError(f"the fuser's array {name!r} must be finite float64 of shape {shapes[name]}")
        array.setflags(write=False)
    return found
