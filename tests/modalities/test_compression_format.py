"""Is a compressed file read back to the bit, and refused where it is not what it claims?"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import math
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from core.errors import ContractError
from modalities.cnn.graph import export
from modalities.compression import SharedTensor, decode, encode, sections
from modalities.compression.container import CODES, STRUCTURE, deflate, inflate, seal, unseal
from modalities.compression.huffman import CHUNK, code_lengths, code_words, write_symbols
from modalities.compression.layers import read_codes
from modalities.compression.lockstep import Stream, read_streams
from modalities.compression.structure import most_for
from modalities.engines.onnxruntime_engine import OnnxRuntimeEngine

Lively = Callable[..., torch.nn.Module]
Array = npt.NDArray[Any]

few = settings(max_examples=60, deadline=None)


def graph_of(arrays: Mapping[str, Array]) -> bytes:
    """A graph of tensors and one node."""
    tensors = [numpy_helper.from_array(a, name) for name, a in arrays.items()]
    wire = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in ("in", "out")]
    node = helper.make_node("Identity", ["in"], ["out"])
    model = helper.make_model(helper.make_graph([node], "g", wire[:1], wire[1:], tensors))
    return bytes(model.SerializeToString())


def shared(
    shape: Sequence[int], values: int, density: float, seed: int = 0, form: type[Any] = np.float16
) -> Array:
    """Drawn elements of at most so many values; the others are zero."""
    rng = np.random.default_rng(seed)
    codebook = rng.normal(size=values).astype(form)
    out = codebook[np.minimum(rng.geometric(min(0.4, 4 / values), shape) - 1, values - 1)]
    return np.where(rng.random(shape) < density, out, form(0)).astype(form).reshape(shape)


def layers_of(arrays: Mapping[str, Array]) -> dict[str, SharedTensor]:
    return {name: SharedTensor.of(a) for name, a in arrays.items()}


@pytest.fixture(scope="module")
def arrays() -> dict[str, Array]:
    return {
        "a.fp16": shared((30, 7, 3, 3), 6, 0.1, 1),
        "b": shared((100, 40), 16, 0.2, 2, np.float32),
        "c.fp16": shared((9, 50), 4, 0.7, 3),
        "zero": np.zeros((40, 3), np.float32),
        "bias": np.random.default_rng(4).normal(size=40).astype(np.float32),
        "scale": np.arange(40, dtype=np.float32),
    }


@pytest.fixture(scope="module")
def graph(arrays: dict[str, Array]) -> bytes:
    return graph_of(arrays)


LAYERS = ("a.fp16", "b", "c.fp16", "zero")


@pytest.fixture(scope="module")
def data(arrays: dict[str, Array], graph: bytes) -> bytes:
    return encode(graph, layers_of({n: arrays[n] for n in LAYERS}))


# the round trip


@few
@given(
    shape=st.lists(st.integers(0, 40), max_size=3),
    values=st.sampled_from([1, 2, 3, 32, 256, 1024]),
    density=st.sampled_from([0.0, 0.01, 0.1, 0.4, 0.6, 0.97, 1.0]),
    seed=st.integers(0, 2**32 - 1),
    form=st.sampled_from([np.float16, np.float32]),
)
def test_any_tensor_comes_back_to_the_bit(
    shape: list[int], values: int, density: float, seed: int, form: type[Any]
) -> None:
    array = shared(shape, values, density, seed, form)
    tensor = SharedTensor.of(array)
    assert np.array_equal(tensor.dense(), array.astype(np.float32))
    own = graph_of({"w": array})
    assert decode(encode(own, {"w": tensor})) == own


@pytest.mark.parametrize("values", [1, 2, 1000, 2**16])
@pytest.mark.parametrize("density", [0.02, 1.0])
def test_many_chunks_of_many_values_come_back(values: int, density: float) -> None:
    rng = np.random.default_rng(values)
    bits = rng.choice(2**31 - 2**24, values, replace=False).astype(np.uint32) + 1
    kept = rng.random(200_000) < density
    array = np.where(kept, bits.view(np.float32)[rng.integers(0, values, 200_000)], np.float32(0))
    own = graph_of({"w": array})
    assert decode(encode(own, {"w": SharedTensor.of(array)})) == own


def test_a_thousand_zeros_in_a_row_and_a_last_element_come_back() -> None:
    for places in ([0], [99_999], [0, 99_999], [50_000, 50_001], list(range(0, 100_000, 4097))):
        array = np.zeros(100_000, np.float32)
        array[places] = 0.5
        own = graph_of({"w": array})
        assert decode(encode(own, {"w": SharedTensor.of(array)})) == own


def test_everything_of_a_graph_comes_back_to_the_bit(data: bytes, graph: bytes) -> None:
    assert decode(data) == graph
    assert decode(encode(graph, {})) == graph


def test_tensors_of_other_types_and_odd_values_stay_as_they_are() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 65520, 1e30, 1] * 20, np.float32)
    own = graph_of(
        {"odd": odd, "half": np.resize(odd[:5], 99).astype(np.float16), "ids": np.arange(99), "no": odd[:0]}
    )
    assert decode(encode(own, {})) == own
    assert decode(encode(own, {}, half=True)) == own


def test_half_rounds_the_other_tensors_to_float16_and_nothing_else(
    arrays: dict[str, Array], graph: bytes
) -> None:
    layers = layers_of({n: arrays[n] for n in LAYERS})
    rounded = {**arrays, "bias": arrays["bias"].astype(np.float16).astype(np.float32)}
    small = encode(graph, layers, half=True)
    assert decode(small) == graph_of(rounded)
    assert len(small) < len(encode(graph, layers))


def test_the_values_of_the_layers_take_the_place_of_the_graphs(arrays: dict[str, Array]) -> None:
    other = shared((100, 40), 3, 0.05, 9, np.float32)
    made = decode(encode(graph_of(arrays), {"b": SharedTensor.of(other)}))
    assert made == graph_of({**arrays, "b": other})


def test_the_same_net_is_stored_in_the_same_bytes(
    arrays: dict[str, Array], graph: bytes, data: bytes
) -> None:
    assert encode(graph, layers_of({n: arrays[n] for n in reversed(LAYERS)})) == data


def test_the_sign_of_a_zero_is_not_stored() -> None:
    tensor = SharedTensor.of(np.array([0.0, -0.0, 1.0], np.float32))
    assert tensor.positions.tolist() == [2]


def test_a_codebook_may_be_given_in_any_order_with_values_that_do_not_occur() -> None:
    codebook = np.array([3, -1, 7, 0.5], np.float32)
    tensor = SharedTensor.of(np.array([[0, -1], [0.5, 3]], np.float16), codebook)
    assert tensor.indices.tolist() == [1, 3, 0]
    assert tensor.dense().tolist() == [[0, -1], [0.5, 3]]
    own = graph_of({"w": tensor.dense()})
    assert decode(encode(own, {"w": tensor})) == own


@pytest.mark.parametrize("architecture", ["squeezenet1_1", "mobilenet_v3_small"])
def test_a_net_read_back_answers_to_the_bit_like_the_dense_graph(architecture: str, lively: Lively) -> None:
    model = onnx.load_from_string(export(lively(architecture, 3, 64), 64)[0])
    layers = {}
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float16:
            edge = np.quantile(np.abs(values), 0.6)
            step = np.float16(np.abs(values).max() / 15)
            coarse = np.where(np.abs(values) < edge, 0, np.round(values / step) * step).astype(np.float16)
            layers[tensor.name] = SharedTensor.of(coarse)
            tensor.CopyFrom(numpy_helper.from_array(coarse + np.float16(0), tensor.name))
    dense = model.SerializeToString()
    data = encode(dense, layers)
    images = np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    wanted = OnnxRuntimeEngine(dense)(images)
    assert np.ptp(wanted) > 0
    assert OnnxRuntimeEngine(decode(data))(images).tobytes() == wanted.tobytes()
    assert len(layers) > 20
    assert len(data) < len(dense) / 4


def test_decoding_needs_numpy_and_the_standard_library_alone(data: bytes) -> None:
    code = (
        "import sys\nfrom modalities.compression import decode, sections\n"
        "data = sys.stdin.buffer.read()\nassert decode(data) and sections(data)\n"
        "print([m for m in ('torch', 'onnx', 'onnxruntime', 'google.protobuf', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


# what takes how many bytes


def test_the_sections_add_up_to_the_file(data: bytes, arrays: dict[str, Array]) -> None:
    found = sections(data)
    assert sum(s.total for s in found) == len(data)
    layers = {s.name: s for s in found if s.shape is not None}
    assert set(layers) == set(LAYERS)
    for name, section in layers.items():
        assert section.shape == arrays[name].shape
        assert section.nonzero == np.count_nonzero(arrays[name])
        assert section.total == section.codebook_bytes + section.index_bytes + section.gap_bytes


def test_a_sparse_layer_costs_about_its_entropy() -> None:
    density, values, elements = 0.1, 16, 300_000
    rng = np.random.default_rng(0)
    kept = rng.random(elements) < density
    array = np.where(kept, rng.integers(1, values + 1, elements), 0).astype(np.float32)
    layer = sections(encode(graph_of({"w": array}), {"w": SharedTensor.of(array)}))[-1]
    positions = -(density * math.log2(density) + (1 - density) * math.log2(1 - density))
    entropy = elements * (positions + density * math.log2(values)) / 8
    assert entropy * 0.98 < layer.total < entropy * 1.02


def test_a_dense_layer_spends_nothing_on_gaps() -> None:
    array = shared((200, 200), 8, 1.0)
    assert np.count_nonzero(array) == array.size
    layer = sections(encode(graph_of({"w": array}), {"w": SharedTensor.of(array)}))[-1]
    assert layer.gap_bytes == 0


def test_a_zero_among_many_others_is_cheaper_as_a_value() -> None:
    array = shared((200, 200), 8, 0.6)
    layer = sections(encode(graph_of({"w": array}), {"w": SharedTensor.of(array)}))[-1]
    assert (layer.gap_bytes, layer.stored) == (0, array.size)
    assert layer.nonzero == np.count_nonzero(array)


# the code

counted = st.lists(st.integers(0, 10**6), min_size=2, max_size=300).filter(lambda c: sum(map(bool, c)) > 1)


def huffman_bits(counts: Sequence[int]) -> int:
    """Bits of the classic algorithm, which knows no limit."""
    heap = [c for c in counts if c]
    heapq.heapify(heap)
    bits = 0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        bits += both
        heapq.heappush(heap, both)
    return bits


@few
@given(counts=counted)
def test_the_code_is_as_short_as_huffmans_and_near_the_entropy(counts: list[int]) -> None:
    lengths = code_lengths(counts, 60).astype(np.int64)
    total = sum(counts)
    bits = int((lengths * counts).sum())
    entropy = -sum(c / total * math.log2(c / total) for c in counts if c)
    assert bits == huffman_bits(counts)
    assert entropy - 1e-9 <= bits / total < entropy + 1


@few
@given(counts=st.lists(st.integers(1, 1000), min_size=3, max_size=6), limit=st.integers(3, 4))
def test_no_code_within_the_limit_is_shorter(counts: list[int], limit: int) -> None:
    bits = int((code_lengths(counts, limit).astype(np.int64) * counts).sum())
    others = itertools.product(range(1, limit + 1), repeat=len(counts))
    best = min(
        sum(n * c for n, c in zip(o, counts, strict=True)) for o in others if sum(2.0**-n for n in o) <= 1
    )
    assert bits == best


@few
@given(counts=counted, limit=st.integers(9, 16))
def test_the_code_is_complete_free_of_prefixes_and_within_its_limit(counts: list[int], limit: int) -> None:
    lengths = code_lengths(counts, limit)
    assert lengths.max() <= limit
    assert [bool(n) for n in lengths] == [bool(c) for c in counts]
    words = sorted(f"{w:0{n}b}" for w, n in zip(code_words(lengths), lengths, strict=True) if n)
    assert not any(b.startswith(a) for a, b in itertools.pairwise(words))
    assert sum(2.0 ** -len(w) for w in words) == 1


def test_more_symbols_than_words_of_the_limit_are_a_contract_error() -> None:
    with pytest.raises(ContractError, match="5 symbols"):
        code_lengths([1] * 5, 2)


@few
@given(
    lengths=st.lists(st.integers(0, 3 * CHUNK), min_size=1, max_size=4),
    alphabet=st.sampled_from([1, 2, 40, 3000]),
    seed=st.integers(0, 1000),
)
def test_streams_side_by_side_are_read_as_they_were_written(
    lengths: list[int], alphabet: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    written, streams, file = [], [], b""
    for count in lengths:
        symbols = np.minimum(rng.geometric(min(1.0, 8 / alphabet), count) - 1, alphabet - 1)
        code = code_lengths(np.bincount(symbols, minlength=alphabet))
        bits, chunks = write_symbols(symbols, code)
        streams.append(Stream(count, code, chunks.astype(np.int64), 8 * len(file)))
        file += bits
        written.append(symbols)
    found = read_streams(np.frombuffer(file, np.uint8), streams)
    assert all(np.array_equal(a, b) for a, b in zip(found, written, strict=True))


# what cannot be stored


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nobody": np.ones((3, 3))}, "no float tensor 'nobody'"),
        ({"ids": np.ones(3)}, "no float tensor 'ids'"),
        ({"b": np.ones((40, 100))}, "'b' has the shape"),
        ({"a.fp16": np.full((30, 7, 3, 3), 1e5)}, "is float16 in the graph"),
        ({"a.fp16": np.full((30, 7, 3, 3), 1 / 3)}, "is float16 in the graph"),
    ],
)
def test_a_layer_that_the_graph_has_no_room_for_is_refused(
    wrong: dict[str, Array], message: str, arrays: dict[str, Array]
) -> None:
    own = graph_of({**arrays, "ids": np.arange(3)})
    with pytest.raises(ContractError, match=message):
        encode(own, layers_of({n: a.astype(np.float32) for n, a in wrong.items()}))


@pytest.mark.parametrize(
    "given_",
    [
        {"shape": (2, -1)},
        {"shape": (2**20, 2**20)},
        {"codebook": np.array([1, np.nan], np.float32)},
        {"codebook": np.array([1, 2.0])},
        {"codebook": np.zeros(2**16 + 1, np.float32)},
        {"indices": np.array([0, 2])},
        {"indices": np.array([0, -1])},
        {"indices": np.array([0.0, 1.0])},
        {"indices": np.array([0])},
        {"positions": np.array([1, 1])},
        {"positions": np.array([3, 1])},
        {"positions": np.array([-1, 1])},
        {"positions": np.array([1, 4])},
    ],
    ids=lambda g: next(iter(g)),
)
def test_a_shared_tensor_cannot_be_invalid(given_: dict[str, Any]) -> None:
    fields = {
        "shape": (4,),
        "codebook": np.array([1, 2], np.float32),
        "indices": np.array([0, 1]),
        "positions": np.array([0, 3]),
    }
    SharedTensor(**fields)
    with pytest.raises(ContractError):
        SharedTensor(**{**fields, **given_})


def test_a_tensor_of_too_many_values_or_of_none_that_count_is_refused() -> None:
    with pytest.raises(ContractError, match="share at most"):
        SharedTensor.of(np.arange(2**16 + 2, dtype=np.float32))
    with pytest.raises(ContractError, match="finite"):
        SharedTensor.of(np.array([np.inf], np.float32))
    with pytest.raises(ContractError, match="not int64"):
        SharedTensor.of(np.arange(4))
    with pytest.raises(ContractError, match="not in the codebook"):
        SharedTensor.of(np.ones(4, np.float32), np.array([2], np.float32))


@pytest.mark.parametrize("cut", ["empty", "text", "half", "shifted"])
def test_bytes_that_are_no_graph_are_refused(cut: str, graph: bytes) -> None:
    wrong = {"empty": b"", "text": b"no graph", "half": graph[: len(graph) // 2], "shifted": graph[1:]}
    with pytest.raises(ContractError):
        encode(wrong[cut], {})


def test_a_graph_with_external_data_or_two_tensors_of_one_name_is_refused() -> None:
    model = onnx.load_from_string(graph_of({"w": np.ones(4, np.float32)}))
    twice = onnx.load_from_string(model.SerializeToString())
    twice.graph.initializer.append(twice.graph.initializer[0])
    with pytest.raises(ContractError, match="two tensors 'w'"):
        encode(twice.SerializeToString(), {})
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    with pytest.raises(ContractError, match="external data"):
        encode(model.SerializeToString(), {})


def test_a_tensor_whose_values_are_no_raw_bytes_is_no_layer() -> None:
    model = onnx.load_from_string(graph_of({}))
    model.graph.initializer.append(helper.make_tensor("w", onnx.TensorProto.FLOAT, [40], np.ones(40)))
    own = model.SerializeToString()
    assert decode(encode(own, {})) == own
    with pytest.raises(ContractError, match="raw values"):
        encode(own, layers_of({"w": np.ones(40, np.float32)}))


def test_what_could_not_be_read_back_is_not_written() -> None:
    array = np.zeros(2**22, np.float32)
    with pytest.raises(ContractError, match="more than may be read back"):
        encode(graph_of({"w": array}), {"w": SharedTensor.of(array)})


# hostile files


def sealed(data: bytes) -> bytes:
    """The file with the checksum that fits it."""
    return data[:16] + hashlib.sha256(data[:16] + data[48:]).digest() + data[48:]


def bodies(data: bytes) -> list[tuple[int, bytes]]:
    return [(kind, data[start : start + size]) for kind, start, size in unseal(data)]


def survives(data: bytes) -> bool:
    """Whether the file is read; anything but a graph or a `ContractError` fails."""
    try:
        assert len(decode(data)) <= most_for(len(data))
        sections(data)
    except ContractError:
        return False
    return True


@pytest.fixture(scope="module")
def tiny() -> bytes:
    arrays = {"a": shared((6, 40), 4, 0.2), "b": np.arange(20, dtype=np.float32) / 7}
    return encode(graph_of(arrays), layers_of({"a": arrays["a"]}))


def test_every_flipped_byte_is_noticed(tiny: bytes) -> None:
    for k in range(len(tiny)):
        with pytest.raises(ContractError):
            decode(tiny[:k] + bytes([tiny[k] ^ (1 + k % 255)]) + tiny[k + 1 :])


def test_every_truncation_and_anything_appended_is_noticed(tiny: bytes) -> None:
    for wrong in [tiny[:k] for k in range(len(tiny))] + [tiny + b"\0", tiny + tiny]:
        for again in (wrong, sealed(wrong) if len(wrong) > 48 else wrong):
            with pytest.raises(ContractError):
                decode(again)


def test_no_byte_changed_under_a_new_checksum_does_harm(tiny: bytes) -> None:
    assert sealed(tiny) == tiny
    read = 0
    for k in range(16, len(tiny)):
        for value in (255, tiny[k] ^ 1):
            read += survives(sealed(tiny[:k] + bytes([value]) + tiny[k + 1 :]))
    assert read > 0, "changed values of a codebook make another net, which only the checksum can tell"


@pytest.mark.parametrize("section", [0, 1, 2])
def test_no_byte_changed_inside_a_deflated_section_does_harm(section: int, tiny: bytes) -> None:
    own = bodies(tiny)
    raw = inflate(memoryview(own[section][1]), 10**6)
    for k in range(len(raw)):
        for value in (255, raw[k] ^ 1):
            changed = list(own)
            changed[section] = (own[section][0], deflate(raw[:k] + bytes([value]) + raw[k + 1 :]))
            survives(seal(changed))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), times=st.integers(1, 20), section=st.integers(0, 6))
def test_no_mixture_of_changes_does_harm(seed: int, times: int, section: int, data: bytes) -> None:
    rng = np.random.default_rng(seed)
    own = bodies(data)
    kind, body = own[section]
    raw = bytearray(inflate(memoryview(body), 10**6) if section < 3 else body)
    for _ in range(times):
        k = int(rng.integers(0, len(raw) + 1))
        action = rng.integers(0, 3)
        raw[k : k + int(action == 1)] = b"" if action == 1 else bytes([int(rng.integers(0, 256))])
    own[section] = (kind, deflate(bytes(raw)) if section < 3 else bytes(raw))
    survives(seal(own))


def with_structure(data: bytes, change: Callable[[bytearray], object]) -> bytes:
    return with_section(data, 0, STRUCTURE, change)


def with_codes(data: bytes, change: Callable[[bytearray], object]) -> bytes:
    return with_section(data, 1, CODES, change)


def with_section(data: bytes, place: int, kind: int, change: Callable[[bytearray], object]) -> bytes:
    own = bodies(data)
    raw = bytearray(inflate(memoryview(own[place][1]), 10**6))
    change(raw)
    own[place] = (kind, deflate(bytes(raw)))
    return seal(own)


HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "another magic": (lambda d: b"DXC2" + d[4:], "begin with DXC1"),
    "a newer version": (lambda d: sealed(d[:4] + b"\2\0" + d[6:]), "format 2; this version reads 1"),
    "reserved bytes": (lambda d: sealed(d[:6] + b"\1\0" + d[8:]), "this version reads 1"),
    "another length": (lambda d: sealed(d[:8] + struct.pack("<Q", 2**40) + d[16:]), f"not {2**40}"),
    "a wrong checksum": (lambda d: d[:16] + bytes(32) + d[48:], "own sha256"),
    "4 billion sections": (lambda d: sealed(d[:48] + b"\xff" * 4 + d[52:]), "sections"),
    "two sections": (lambda d: seal(bodies(d)[:2]), "sections"),
    "sections swapped": (lambda d: seal([bodies(d)[k] for k in (1, 0, 2, 3)]), "section 0"),
    "a section onto itself": (
        lambda d: sealed(d[:68] + struct.pack("<I", 52) + d[72:]),
        "section 1 .* is not where",
    ),
    "a section beyond the end": (
        lambda d: sealed(d[:60] + struct.pack("<I", 2**31) + d[64:]),
        "section 0 .* is not where",
    ),
    "a layer too few": (lambda d: seal(bodies(d)[:3]), "bytes too many"),
    "a layer too many": (lambda d: seal([*bodies(d), bodies(d)[3]]), "ends too early"),
    "a hole of 2**40 elements": (
        lambda d: with_structure(d, lambda r: r.__setitem__(slice(11, 19), struct.pack("<II", 2**20, 2**20))),
        "elements",
    ),
    "a hole of a bit more than the file may stand for": (
        lambda d: with_structure(d, lambda r: r.__setitem__(slice(11, 19), struct.pack("<II", 2**10, 2**12))),
        "too many",
    ),
    "a hole outside of the graph": (
        lambda d: with_structure(d, lambda r: r.__setitem__(slice(7, 11), b"\xff" * 4)),
        "no known type or place",
    ),
    "an element type of no known size": (
        lambda d: with_structure(d, lambda r: r.__setitem__(5, 11)),
        "no known type",
    ),
    "4 billion holes": (
        lambda d: with_structure(d, lambda r: r.__setitem__(slice(0, 4), b"\xff" * 4)),
        "cannot have",
    ),
    "a name that is no text": (lambda d: with_structure(d, lambda r: r.__setitem__(21, 0xFF)), "no name"),
    "a layer for no tensor": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(0, 4), b"\xff" * 4)),
        "belongs to no tensor",
    ),
    "a layer for another kind of tensor": (
        lambda d: with_codes(d, lambda r: r.__setitem__(0, 1)),
        "more values than its tensor|not those of its tensors|float32",
    ),
    "4 billion values": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(4, 8), b"\xff" * 4)),
        "claims more values",
    ),
    "4 billion indices": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(8, 12), b"\xff" * 4)),
        "claims more values",
    ),
    "4 billion gaps": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(12, 16), b"\xff" * 4)),
        "claims more values",
    ),
    "gaps of 200 bits": (lambda d: with_codes(d, lambda r: r.__setitem__(17, 200)), "unknown kind"),
    "lengths of no prefix code": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(18, 22), b"\1\1\1\1")),
        "no prefix code",
    ),
    "an incomplete code": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(18, 22), b"\3\3\3\3")),
        "no prefix code",
    ),
    "a code word of 255 bits": (lambda d: with_codes(d, lambda r: r.__setitem__(18, 255)), "no prefix code"),
    "an empty code": (
        lambda d: with_codes(d, lambda r: r.__setitem__(slice(18, 22), bytes(4))),
        "no prefix code",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_for_what_is_wrong_with_it(name: str, tiny: bytes) -> None:
    make, message = HOSTILE[name]
    with pytest.raises(ContractError, match=message):
        decode(make(tiny))


def test_the_hostile_files_change_what_they_mean_to(tiny: bytes) -> None:
    structure = inflate(memoryview(bodies(tiny)[0][1]), 10**6)
    assert struct.unpack_from("<IBBBIIIH", structure) == (
        2,
        0,
        10,
        2,
        struct.unpack_from("<I", structure, 7)[0],
        6,
        40,
        1,
    )
    codes = inflate(memoryview(bodies(tiny)[1][1]), 10**6)
    assert struct.unpack_from("<II", codes) == (0, 4)
    assert codes[16] == 2


def streams_of(data: bytes) -> tuple[int, int, int]:
    """Of the first layer: bytes before its codebook, between it and the gaps, and up to the end."""
    own = unseal(data)
    from modalities.compression.decoding import open_file

    layer = open_file(data).layers[0]
    start = own[3][1]
    return start, layer.gaps.start // 8, start + own[3][2]


def test_code_words_that_do_not_end_with_their_chunk_are_refused(data: bytes) -> None:
    start, gaps, end = streams_of(data)
    rng = np.random.default_rng(0)
    for first, last in ((start + 12, gaps), (gaps, end)):
        refused = 0
        for _ in range(50):
            changed = data[:first] + rng.bytes(last - first) + data[last:]
            refused += not survives(sealed(changed))
        # The rest stand for other words whose last one ends there too.
        assert refused > 25


def test_a_codebook_that_is_not_finite_is_refused(tiny: bytes) -> None:
    start, _, _ = streams_of(tiny)
    with pytest.raises(ContractError, match="not finite"):
        decode(sealed(tiny[:start] + b"\x00\x7c" + tiny[start + 2 :]))


@pytest.mark.parametrize("section", [0, 1, 2])
def test_a_bomb_in_a_deflated_section_is_refused_before_it_goes_off(section: int, tiny: bytes) -> None:
    packer = zlib.compressobj(9, wbits=-15)
    bomb = packer.compress(bytes(10**8)) + packer.flush()
    for claim in (10**8, 2**63, 1000, 0):
        own = bodies(tiny)
        own[section] = (own[section][0], struct.pack("<Q", claim) + bomb)
        made = seal(own)
        tracemalloc.start()
        try:
            with pytest.raises(ContractError):
                decode(made)
            # A section of so many bytes may claim about as much as the graph may have.
            assert tracemalloc.get_traced_memory()[1] < 2 * 10**6 + 2 * most_for(len(made)) * (claim == 10**8)
        finally:
            tracemalloc.stop()


def test_a_small_file_takes_little_memory_whatever_it_claims() -> None:
    # All that such a file can ask for: one value, everywhere, in no bits at all.
    array = np.ones(2**19, np.float16)
    data = encode(graph_of({"w": array}), {"w": SharedTensor.of(array)})
    assert len(data) < 1000
    tracemalloc.start()
    try:
        assert len(decode(data)) > 2**20
        assert tracemalloc.get_traced_memory()[1] < 20 * most_for(len(data))
    finally:
        tracemalloc.stop()


def test_a_gap_that_leads_out_of_the_tensor_is_refused() -> None:
    """One element less than was stored: the last gap leads one too far."""
    array = np.ones(4000, np.float32)
    data = encode(graph_of({"w": array}), {"w": SharedTensor.of(array)})
    own = bodies(data)
    raw = inflate(memoryview(own[1][1]), 10**6)
    layer = read_codes(raw, data, [unseal(data)[3][1:]], _holes(data))[0]
    # A single gap's symbol 0 is written as length 1 at place 0: at place 1 every gap is 1.
    width = layer.width
    assert width == 1
    at = 18 + len(layer.codebook)
    wrong = raw[:at] + b"\0\1" + raw[at + 2 :]
    own[1] = (CODES, deflate(wrong))
    with pytest.raises(ContractError, match="not a gap for every index"):
        decode(seal(own))
    wider = bytearray(raw)
    wider[17] = 2
    wider[at : at + 2] = b"\0\1\0\0"
    own[1] = (CODES, deflate(bytes(wider)))
    with pytest.raises(ContractError, match="leads out of its tensor"):
        decode(seal(own))


def _holes(data: bytes) -> Any:
    from modalities.compression.decoding import open_file

    return open_file(data).holes
