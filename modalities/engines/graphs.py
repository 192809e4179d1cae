"""Where do the bytes of a net come from, and may they be parsed?"""

from __future__ import annotations

import re

from core.errors import ContractError
from core.manifest import Bundle

GRAPH = "model.onnx"
"""The net as it was exported."""
COMPRESSED = "model.dxc"
"""The same, compressed (`modalities.compression`), in a bundle that has it in place of `GRAPH`."""
INT8 = "model.int8.onnx"
"""The net with 8 bit weights and activations, which ONNX Runtime and OpenVINO both run."""

_WORD = b"location"
_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)\Z")
"""What stands before the word in the entry that every tensor with external data must have, in each way that
protobuf can write it: a varint of 1 may take up to ten bytes."""
_BEFORE = 20
"""Two varints, bytes."""


def check_graph(graph: bytes) -> bytes:
    """The graph itself. Raises `ContractError` where a tensor of it lies in another file.

    The runtimes would read that file, from the working directory, without its hash being known.
    """
    # Finding the word first takes a thirtieth of the time of the whole pattern over megabytes of weights.
    at = graph.find(_WORD)
    while at >= 0:
        if _EXTERNAL.search(graph[max(0, at - _BEFORE) : at]):
            raise ContractError(
                "the graph refers to external data, which is not allowed; export it as one file"
            )
        at = graph.find(_WORD, at + 1)
    return graph


def source_file(bundle: Bundle) -> str:
    """Name of the file that holds the net's weights. Raises `ContractError` where there is none."""
    found = next((name for name in (GRAPH, COMPRESSED) if name in bundle.files), None)
    if found is None:
        raise ContractError(f"the bundle has no {GRAPH} and no {COMPRESSED}")
    return found


def source_graph(bundle: Bundle) -> bytes:
    """The net as it was exported. Raises `ContractError` as `source_file` and `check_graph` do.

    From a compressed file: raises what `modalities.compression.decode` raises.
    """
    name = source_file(bundle)
    if name == COMPRESSED:
        from modalities.compression import decode

        return check_graph(decode(bundle.files[name]))
    return check_graph(bundle.files[name])


def int8_graph(bundle: Bundle) -> bytes:
    """The quantised net. Raises `ContractError` where the bundle has none."""
    if INT8 not in bundle.files:
        raise ContractError(f"the bundle has no {INT8}; make one with: dxtree export")
    return check_graph(bundle.files[INT8])


def sha256_of(bundle: Bundle, file: str) -> str:
    """The digest of a file, which was checked when the bundle was read."""
    return str(bundle.require("files", dict)[file])
