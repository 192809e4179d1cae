"""How are millions of code words read without a loop over them? All chunks at once, a symbol each a step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import ContractError
from modalities.compression.huffman import CHUNK, Lengths, table_of

Symbols = npt.NDArray[np.uint16]
_WINDOW = 24
"""Bits seen at once: 16 of a code word and 7 before it in its byte."""


@dataclass(frozen=True, eq=False)
class Stream:
    """`count` symbols written in the code of `lengths`, from bit `start` of the file."""

    count: int
    lengths: Lengths
    chunks: npt.NDArray[np.int64]
    """Bits of every 2048 symbols."""
    start: int

    @property
    def bits(self) -> int:
        """From first to last."""
        return int(self.chunks.sum())


def read_streams(data: npt.NDArray[np.uint8], streams: Sequence[Stream]) -> list[Symbols]:
    """The symbols of every stream.

    Raises `ContractError` where a chunk's code words do not end where the chunk does, or a code is none.
    """
    found: list[Symbols] = [np.zeros(0, np.uint16)] * len(streams)
    coded: list[tuple[int, int]] = []  # stream, bits that its table looks at
    tables, bases, base = [], [], 0
    for k, stream in enumerate(streams):
        if not stream.count:
            if stream.lengths.any():
                raise ContractError("the compressed file has a code without symbols")
            continue
        width, table = table_of(stream.lengths)
        if width:
            coded.append((k, width))
            tables.append(table)
            bases.append(base)
            base += len(table)
        elif stream.bits:
            raise ContractError("the compressed file has bits where a code has none")
        else:
            found[k] = np.full(stream.count, int(table[0]) >> 5, np.uint16)
    if not coded:
        return found
    held = [streams[k] for k, _ in coded]
    chunks = [len(s.chunks) for s in held]
    counts = np.concatenate([_counts(s) for s in held])
    ends = np.concatenate([s.start + np.cumsum(s.chunks) for s in held])
    starts = ends - np.concatenate([s.chunks for s in held])
    bits = np.repeat([w for _, w in coded], chunks)
    # The longest first: the chunks that are not finished are the first ones.
    order = np.argsort(-counts, kind="stable")
    rows = _advance(
        data,
        starts[order],
        ends[order],
        counts[order],
        bits[order],
        np.repeat(bases, chunks)[order],
        np.concatenate(tables),
    )
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    first = 0
    for (k, _), many in zip(coded, chunks, strict=True):
        found[k] = rows[place[first : first + many]].ravel()[: streams[k].count]
        first += many
    return found


def _counts(stream: Stream) -> npt.NDArray[np.int64]:
    counts = np.full(len(stream.chunks), CHUNK, np.int64)
    counts[-1] = stream.count - CHUNK * (len(counts) - 1)
    return counts


def _advance(
    data: npt.NDArray[np.uint8],
    position: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    bits: npt.NDArray[np.int64],
    bases: npt.NDArray[np.int64],
    table: npt.NDArray[np.int32],
) -> Symbols:
    """Chunks x symbols, zero behind a chunk's count. A word beyond the data reads as some word."""
    low = int(position.min()) >> 3
    seen = np.concatenate([data[low : (int(ends.max()) + 7) >> 3], np.zeros(3, np.uint8)]).astype(np.int32)
    windows = seen[:-2] << 16 | seen[1:-1] << 8 | seen[2:]
    position = position - 8 * low
    shifts, masks = _WINDOW - bits, (1 << bits) - 1
    steps = int(counts[0])
    active = np.searchsorted(-counts, -np.arange(1, steps + 1), side="right")
    out = np.zeros((steps, len(position)), np.uint16)
    byte, shift, index = (np.empty_like(position) for _ in range(3))
    window, entry = (np.empty(len(position), np.int32) for _ in range(2))
    last = 0
    for step in range(steps):
        n = int(active[step])
        if n != last:
            p, b, s, i, w, e = (a[:n] for a in (position, byte, shift, index, window, entry))
            own, mask, base, last = shifts[:n], masks[:n], bases[:n], n
        np.right_shift(p, 3, out=b)
        windows.take(b, out=w, mode="clip")
        np.bitwise_and(p, 7, out=s)
        np.subtract(own, s, out=s)
        np.right_shift(w, s, out=i)
        np.bitwise_and(i, mask, out=i)
        np.add(i, base, out=i)
        table.take(i, out=e, mode="clip")
        np.right_shift(e, 5, out=out[step, :n], casting="unsafe")
        np.bitwise_and(e, 31, out=e)
        np.add(p, e, out=p)
    if (position != ends - 8 * low).any():
        raise ContractError("the compressed file's code words do not end where their chunk does")
    return np.ascontiguousarray(out.T)
