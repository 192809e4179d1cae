"""Which code gives frequent symbols few bits, and how are symbols written in it?

Canonical Huffman codes of limited length: of equal lengths the smaller symbol has the smaller code, so the
lengths alone tell the code. An alphabet of which one symbol occurs needs no bits at all; its length is
written as 1 all the same, to tell which.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from core.errors import ContractError

LONGEST = 16
"""Bits of a code word, at most."""
CHUNK = 2048
"""Symbols from one restart point to the next: bits are told by chunk, so all are read side by side."""

Lengths = npt.NDArray[np.uint8]
Table = npt.NDArray[np.int32]


def code_lengths(counts: npt.ArrayLike, limit: int = LONGEST) -> Lengths:
    """Bits of every symbol's code word, from how often each occurs; 0 for one that does not.

    The mean over `counts` is the least that any prefix code of at most `limit` bits has (package-merge,
    Larmore and Hirschberg 1990): in every round the lightest go together two by two, and `limit` rounds are
    looked back on. Raises `ContractError` where so many symbols have no such code.
    """
    given = np.asarray(counts, np.int64)
    used = np.flatnonzero(given)
    lengths = np.zeros(len(given), np.uint8)
    if len(used) < 2:
        lengths[used] = 1
        return lengths
    if len(used) > 2**limit:
        raise ContractError(f"{len(used)} symbols have no code of at most {limit} bits")
    order = used[np.argsort(given[used], kind="stable")]
    leaves = given[order]
    packages = leaves[:0]
    rounds = []  # of each: is the item, lightest first, a leaf?
    for _ in range(limit):
        items = np.concatenate([leaves, packages])
        by_weight = np.argsort(items, kind="stable")
        rounds.append(by_weight < len(leaves))
        items = items[by_weight]
        packages = items[: len(items) // 2 * 2].reshape(-1, 2).sum(axis=1)
    taken = 2 * len(leaves) - 2
    for is_leaf in reversed(rounds):
        chosen = int(is_leaf[:taken].sum())
        lengths[order[:chosen]] += 1
        taken = 2 * (taken - chosen)
    return lengths


def code_words(lengths: Lengths) -> npt.NDArray[np.int64]:
    """The code word of every symbol as a number, from the code's lengths."""
    words = np.zeros(len(lengths), np.int64)
    word = last = 0
    for symbol in canonical(lengths):
        word <<= int(lengths[symbol]) - last
        last = int(lengths[symbol])
        words[symbol] = word
        word += 1
    return words


def canonical(lengths: Lengths) -> npt.NDArray[np.int64]:
    """Symbols that occur, in the order of their code words."""
    used = np.flatnonzero(lengths)
    return used[np.argsort(lengths[used], kind="stable")]


def table_of(lengths: Lengths) -> tuple[int, Table]:
    """Bits to look at, and for each value of them: symbol * 32 + bits of its code word.

    Raises `ContractError` where `lengths` are not those of a complete prefix code of at most 16 bits.
    """
    used = lengths[lengths > 0].astype(np.int64)
    if len(used) == 1 and used[0] == 1:
        return 0, np.array([int(np.flatnonzero(lengths)[0]) << 5], np.int32)
    if not len(used) or used.max() > LONGEST or (1 << (LONGEST - used)).sum() != 1 << LONGEST:
        raise ContractError("the compressed file's code lengths are those of no prefix code")
    bits = int(used.max())
    symbols = canonical(lengths)
    own = lengths[symbols].astype(np.int64)
    return bits, np.repeat((symbols << 5 | own).astype(np.int32), 1 << (bits - own))


def write_symbols(symbols: npt.NDArray[np.integer], lengths: Lengths) -> tuple[bytes, npt.NDArray[np.uint16]]:
    """The code words one after another, first bit highest, and the bits of every chunk."""
    chunks = -(-len(symbols) // CHUNK)
    if np.count_nonzero(lengths) < 2:
        return b"", np.zeros(chunks, np.uint16)
    sizes = lengths[symbols].astype(np.int64)
    words = code_words(lengths)[symbols]
    ends = np.cumsum(sizes)
    starts = ends - sizes
    out = np.zeros(int(ends[-1]) if len(ends) else 0, np.uint8)
    for bit in range(int(lengths.max())):
        has = sizes > bit
        out[starts[has] + bit] = words[has] >> (sizes[has] - 1 - bit) & 1
    held = np.add.reduceat(sizes, np.arange(0, len(symbols), CHUNK)) if chunks else sizes
    return np.packbits(out).tobytes(), held.astype(np.uint16)
