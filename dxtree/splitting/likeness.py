"""Which pictures are one picture, whatever compressed or scaled them?

The perceptual hash (`phash` of the package imagehash) has 256 bits: whether each of the 16 x 16 lowest waves
of the grey picture, by cosine transform, is above their median. Scaling and JPEG change few of them. It does
not see through a crop, a turn or a mirror.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from core.errors import MissingExtra

NEAR = 12
"""Largest number of differing bits, of 256, between two hashes of one picture; see decision 0011."""
HASH_SIDE = 16
WORDS = HASH_SIDE**2 // 64
LEAST_MINORITY = 64
"""A picture with structure has 128 bits of each value. One with fewer of either is blank or a plain
gradient, and its hash is that of all others like it."""
BLOCK = 256

Hash = tuple[int, ...]
Words = npt.NDArray[np.uint64]


def check_hashing() -> None:
    """Raises `MissingExtra` where the package imagehash is not installed."""
    try:
        import imagehash  # noqa: F401
    except ImportError as error:
        raise MissingExtra("comparing pictures", "train") from error


def picture_hash(picture: npt.NDArray[np.uint8]) -> Hash | None:
    """The 256 bits as four 64-bit words, or `None` for a picture too plain to be told from others."""
    from imagehash import phash

    bits = np.asarray(phash(Image.fromarray(picture), hash_size=HASH_SIDE).hash, np.bool_)
    if min(bits.sum(), bits.size - bits.sum()) < LEAST_MINORITY:
        return None
    return tuple(np.packbits(bits.ravel()).view(np.uint64).tolist())


def near_pairs(hashes: Sequence[Hash], distance: int = NEAR) -> list[tuple[int, int, int]]:
    """(i, j, differing bits) of every pair i < j that differs in at most `distance` bits.

    A block of rows is compared with all later ones on the first word alone, and only pairs that it leaves
    possible on the others: memory grows with the number of hashes, not with its square.
    """
    words = np.array(hashes, np.uint64).reshape(len(hashes), WORDS)
    found: list[tuple[int, int, int]] = []
    for start in range(0, len(words), BLOCK):
        rows, later = words[start : start + BLOCK], words[start:]
        i, j = np.nonzero(_ones(rows[:, None, 0] ^ later[None, :, 0]) <= distance)
        i, j = i[i < j], j[i < j]
        bits = _ones(rows[i] ^ later[j]).sum(axis=1)
        near = bits <= distance
        found += zip((i[near] + start).tolist(), (j[near] + start).tolist(), bits[near].tolist(), strict=True)
    return found


def _ones(words: Words) -> npt.NDArray[np.uint8]:
    """Number of ones in each word; numpy 1 has no function for it."""
    if hasattr(np, "bitwise_count"):
        return np.asarray(np.bitwise_count(words), np.uint8)
    bits = np.unpackbits(np.ascontiguousarray(words)[..., None].view(np.uint8), axis=-1)
    return np.asarray(bits.sum(axis=-1, dtype=np.uint8))
