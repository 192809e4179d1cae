"""How does a tensor of shared values become bits, and bits that tensor?

Two streams of Huffman codes: for every stored element its index in the codebook, and how many zeros stand
before it. A gap of 2 ** width - 1 and more is written as that symbol, which stands for so many zeros and no
element, and what is left of it. The width is the one that costs least.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from core.errors import ContractError
from modalities.compression.container import Cursor
from modalities.compression.holes import SIZES
from modalities.compression.huffman import CHUNK, LONGEST, Lengths, code_lengths, write_symbols
from modalities.compression.lockstep import Stream, Symbols, read_streams
from modalities.compression.planes import as_half
from modalities.compression.structure import Hole
from modalities.compression.tensor import MOST_VALUES, SharedTensor

WIDTHS = range(1, 13)
"""Bits of a gap's symbol that are tried, and that may be read."""
QUICK = 12
"""Bits of a code word that suffice for up to 512 symbols; longer ones need tables that fill the cache."""
_HEAD = "<IIIIBB"
_BATCH_BYTES, _BATCH_SYMBOLS, _BATCH_TABLES = 2**23, 2**24, 2**22


@dataclass(frozen=True, eq=False)
class CodedLayer:
    """What the file says of a layer before its bits are read."""

    hole: int
    elements: int
    codebook: npt.NDArray[np.float32]
    codebook_bytes: int
    width: int
    indices: Stream
    gaps: Stream

    @property
    def index_bytes(self) -> int:
        """Of the stream of indices."""
        return -(-self.indices.bits // 8)

    @property
    def gap_bytes(self) -> int:
        """Of the stream of gaps."""
        return -(-self.gaps.bits // 8)


def write_layer(hole: int, tensor: SharedTensor) -> tuple[bytes, bytes]:
    """How the layer is coded, and its codebook and streams."""
    tensor = _cheaper(tensor)
    codebook, indices = tensor.codebook, tensor.indices
    lengths = _lengths(indices, len(codebook))
    width, gaps = _best_gaps(tensor.positions)
    gap_lengths = _lengths(gaps, 2**width)
    half = as_half(codebook)
    values = codebook.astype("<f4").tobytes() if half is None else half.astype("<f2").tobytes()
    index_bits, index_chunks = write_symbols(indices, lengths)
    gap_bits, gap_chunks = write_symbols(gaps, gap_lengths)
    head = struct.pack(_HEAD, hole, len(codebook), len(indices), len(gaps), 4 if half is None else 2, width)
    chunks = [c.astype("<u2").tobytes() for c in (index_chunks, gap_chunks)]
    code = b"".join([head, lengths.tobytes(), gap_lengths.tobytes(), *chunks])
    return code, values + index_bits + gap_bits


def _lengths(symbols: npt.NDArray[np.integer], alphabet: int) -> Lengths:
    return _lengths_for(np.bincount(symbols, minlength=alphabet))


def _lengths_for(counts: npt.NDArray[np.integer]) -> Lengths:
    needed = max(1, int(np.count_nonzero(counts)) - 1).bit_length()
    return code_lengths(counts, min(LONGEST, max(QUICK, needed + 3)))


def _cheaper(tensor: SharedTensor) -> SharedTensor:
    """The same tensor, with its zeros as values of the codebook where that takes fewer bits."""
    stored, elements = len(tensor.positions), tensor.elements
    if stored == elements or 3 * stored < elements or len(tensor.codebook) >= MOST_VALUES:
        return tensor
    counts = np.bincount(tensor.indices, minlength=len(tensor.codebook))
    _, gaps = _best_gaps(tensor.positions)
    sparse = _cost(counts) + _cost(np.bincount(gaps))
    if _cost(np.append(counts, elements - stored)) >= sparse:
        return tensor
    indices = np.full(elements, len(counts), np.uint16)
    indices[tensor.positions] = tensor.indices
    codebook = np.append(tensor.codebook, np.float32(0))
    return SharedTensor(tensor.shape, codebook, indices, np.arange(elements))


def _cost(counts: npt.NDArray[np.integer]) -> int:
    """Bits of the code words, and about 4 to name the length of each."""
    used = int(np.count_nonzero(counts))
    bits = int((_lengths_for(counts).astype(np.int64) * counts).sum()) if used > 1 else 0
    return bits + 4 * used


def _best_gaps(positions: npt.NDArray[np.int64]) -> tuple[int, npt.NDArray[np.int64]]:
    zeros = np.diff(positions, prepend=-1) - 1
    costs = [_cost(_gap_counts(zeros, 2**width - 1)) for width in WIDTHS]
    width = WIDTHS[int(np.argmin(costs))]
    return width, _gap_symbols(zeros, 2**width - 1)


def _gap_counts(zeros: npt.NDArray[np.int64], skip: int) -> npt.NDArray[np.int64]:
    skips, left = np.divmod(zeros, skip)
    return np.append(np.bincount(left, minlength=skip), skips.sum())


def _gap_symbols(zeros: npt.NDArray[np.int64], skip: int) -> npt.NDArray[np.int64]:
    skips, left = np.divmod(zeros, skip)
    out = np.full(int(skips.sum()) + len(zeros), skip, np.int64)
    out[np.cumsum(skips + 1) - 1] = left
    return out


def read_codes(
    raw: bytes, data: bytes, bodies: Sequence[tuple[int, int]], holes: Sequence[Hole]
) -> list[CodedLayer]:
    """How every layer is coded; `bodies` are offsets and lengths of their sections in `data`.

    Raises `ContractError` where counts are more than the tensor has elements, or lengths differ.
    """
    cursor = Cursor(raw)
    found = [_read_code(cursor, data, start, length, holes) for start, length in bodies]
    cursor.end()
    return found


def _read_code(cursor: Cursor, data: bytes, start: int, length: int, holes: Sequence[Hole]) -> CodedLayer:
    hole, values, stored, symbols, size, width = cursor.unpack(_HEAD)
    if hole >= len(holes):
        raise ContractError("a layer of the compressed file belongs to no tensor")
    elements = holes[hole].elements
    if values > MOST_VALUES or stored > elements or not stored <= symbols <= elements:
        raise ContractError("a layer of the compressed file claims more values than its tensor has elements")
    if size not in (2, 4) or width not in WIDTHS:
        raise ContractError("a layer of the compressed file has an unknown kind of codebook or gap")
    if size > SIZES[holes[hole].element]:
        raise ContractError("a float16 tensor of the compressed file has a codebook of float32")
    own = [np.frombuffer(cursor.take(n), np.uint8) for n in (values, 2**width)]
    chunks = [
        np.frombuffer(cursor.take(2 * -(-n // CHUNK)), "<u2").astype(np.int64) for n in (stored, symbols)
    ]
    at = start + size * values
    indices = Stream(stored, own[0], chunks[0], 8 * at)
    gaps = Stream(symbols, own[1], chunks[1], 8 * (at + -(-indices.bits // 8)))
    if gaps.start // 8 + -(-gaps.bits // 8) != start + length:
        raise ContractError("a layer of the compressed file has another length than its streams")
    codebook = np.frombuffer(data, f"<f{size}", values, start).astype(np.float32)
    if not np.isfinite(codebook).all():
        raise ContractError("a codebook of the compressed file has a value that is not finite")
    return CodedLayer(hole, elements, codebook, size * values, width, indices, gaps)


def read_layers(data: bytes, layers: Sequence[CodedLayer]) -> Iterator[tuple[Symbols, npt.NDArray[np.int64]]]:
    """Indices and positions of every layer's stored elements, many layers at a time.

    A code has as many lengths as the codebook values, so no index lies outside of it.

    Raises `ContractError` for streams that are not what `write_layer` wrote.
    """
    view = np.frombuffer(data, np.uint8)
    for batch in _batches(layers):
        streams = read_streams(view, [s for layer in batch for s in (layer.indices, layer.gaps)])
        streams.reverse()
        for layer in batch:
            indices, gaps = streams.pop(), streams.pop()
            yield indices, _positions(layer, gaps)


def _batches(layers: Sequence[CodedLayer]) -> Iterator[list[CodedLayer]]:
    batch: list[CodedLayer] = []
    size = symbols = tables = 0
    for layer in layers:
        batch.append(layer)
        size += layer.index_bytes + layer.gap_bytes
        symbols += layer.indices.count + layer.gaps.count
        tables += sum(1 << min(LONGEST, int(s.lengths.max(initial=0))) for s in (layer.indices, layer.gaps))
        if size >= _BATCH_BYTES or symbols >= _BATCH_SYMBOLS or tables >= _BATCH_TABLES:
            yield batch
            batch, size, symbols, tables = [], 0, 0, 0
    if batch:
        yield batch


def _positions(layer: CodedLayer, gaps: Symbols) -> npt.NDArray[np.int64]:
    skip = 2**layer.width - 1
    is_stored = gaps != skip
    stored = int(np.count_nonzero(is_stored))
    if stored != layer.indices.count:
        raise ContractError("a layer of the compressed file has not a gap for every index")
    if int(gaps.sum(dtype=np.int64)) + stored > layer.elements:
        raise ContractError("a gap of the compressed file leads out of its tensor")
    gaps += is_stored
    positions: npt.NDArray[np.int64] = np.cumsum(gaps, dtype=np.int64)[is_stored]
    positions -= 1
    return positions
