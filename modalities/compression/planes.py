"""How are the tensors kept that share no values? All first bytes, then all second ones: these are alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.errors import ContractError

Halves = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]


def as_half(values: Floats, *, exact: bool = True) -> Halves | None:
    """float16, or `None` where a value would become infinite or, if `exact`, is another in float16."""
    # From 65520 on float16 rounds to infinity; NaN is not below it.
    if not (np.abs(values) < 65520).all():
        return None
    half = values.astype(np.float16)
    return half if not exact or half.astype(values.dtype).tobytes() == values.tobytes() else None


def write_planes(halves: Sequence[Halves], floats: Sequence[Floats]) -> bytes:
    """Both as byte planes, lowest first: two of all halves, then four of all floats."""
    parts = []
    for arrays, form in ((halves, "<f2"), (floats, "<f4")):
        raw = b"".join(np.asarray(a).astype(form).tobytes() for a in arrays)
        parts.append(np.frombuffer(raw, np.uint8).reshape(-1, int(form[2])).T.tobytes())
    return b"".join(parts)


def read_planes(raw: bytes, halves: int, floats: int) -> tuple[Halves, Floats]:
    """Both, each one after another. Raises `ContractError` where there are not so many."""
    if len(raw) != 2 * halves + 4 * floats:
        raise ContractError("the compressed file has more or fewer values than its tensors")
    own = np.frombuffer(raw, np.uint8)
    short = np.ascontiguousarray(own[: 2 * halves].reshape(2, halves).T)
    long = np.ascontiguousarray(own[2 * halves :].reshape(4, floats).T)
    return short.reshape(-1).view("<f2"), long.reshape(-1).view("<f4")
