"""How long does a compressed net take to read back, beside reading and parsing the same net in float32?

    OMP_NUM_THREADS=1 python benchmarks/decompress.py BUNDLE/model.dxc

The tasks are called turn by turn: `decode` from bytes to the serialised graph; `checksum`, its part that
reads every byte once; `parse float32`, reading a file of the graph with dense float32 weights and parsing it
with onnx, which needs the extra `train`. Medians over rounds. A table of bytes by section comes first.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from dxtree.speed.machine import Machine
from dxtree.speed.rounds import interleaved
from modalities.compression import Section, decode, sections
from modalities.compression.container import unseal


def float32_of(graph: bytes) -> bytes:
    """The graph with its float16 tensors in float32, as nets are usually exported."""
    model: Any = onnx.load_from_string(graph)
    wide = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    casts = {n.input[0]: n.output[0] for n in model.graph.node if n.op_type == "Cast" and n.input[0] in wide}
    nodes = [n for n in model.graph.node if n.op_type != "Cast" or n.input[0] not in casts]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    for name, values in wide.items():
        kind = np.float32 if values.dtype == np.float16 else values.dtype
        model.graph.initializer.append(numpy_helper.from_array(values.astype(kind), casts.get(name, name)))
    assert all(t.data_type != TensorProto.FLOAT16 for t in model.graph.initializer)  # noqa: S101
    return bytes(model.SerializeToString())


def table(found: list[Section]) -> str:
    """Bytes by section, the largest first."""
    head = f"{'section':44}{'weights':>11}{'nonzero':>9}{'values':>7}{'bits':>6}"
    lines = [head + f"{'book':>7}{'index':>9}{'gaps':>9}{'bytes':>10}"]
    for s in sorted(found, key=lambda s: -s.total):
        size = int(np.prod(s.shape, dtype=np.int64)) if s.shape is not None else 0
        share = f"{s.nonzero / size:.1%}" if size else ""
        lines.append(
            f"{s.name[:43]:44}{size or '':>11}{share:>9}{s.values or '':>7}{s.index_bits or 0:6.2f}"
            f"{s.codebook_bytes:7}{s.index_bytes:9}{s.gap_bytes:9}{s.total:10}"
        )
    lines.append(f"{'all':44}{'':58}{sum(s.total for s in found):10}")
    return "\n".join(lines)


def main() -> None:
    """Times, ratios and the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path, help="a compressed net, such as model.dxc of a bundle")
    parser.add_argument("--rounds", type=int, default=15)
    chosen = parser.parse_args()
    data = chosen.file.read_bytes()
    graph = decode(data)
    wide = float32_of(graph)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(wide)
        took = interleaved(
            {
                "decode": lambda: decode(data),
                "checksum": lambda: unseal(data),
                "parse float32": lambda: onnx.load_from_string(path.read_bytes()),
            },
            rounds=chosen.rounds,
        )
    print(table(sections(data)))
    print(
        f"\n{len(data):,} bytes for a graph of {len(graph):,} and one in float32 of {len(wide):,}: ", end=""
    )
    print(f"{len(graph) / len(data):.1f} and {len(wide) / len(data):.1f} times as many\n")
    seconds = took.median("decode")
    for task in ("decode", "checksum", "parse float32"):
        print(f"{task:14}{1000 * took.median(task):9.1f} ms")
    print(f"decode / parse float32: {took.ratio('decode', 'parse float32'):.2f}")
    print(f"decode: {len(data) / seconds / 1e6:.1f} MB/s in, {len(wide) / seconds / 1e6:.0f} of float32 out")
    print(f"\n{Machine.here()}")


if __name__ == "__main__":
    main()
