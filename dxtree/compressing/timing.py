"""How long does a compressed file take to become a graph, beside what reading the dense one takes?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import onnx

from modalities.compression import decode

ROUNDS = 5


@dataclass(frozen=True)
class DecodeTime:
    """Medians of `ROUNDS` interleaved rounds, seconds."""

    decode: float
    parse: float

    @property
    def relative(self) -> float:
        """Decoding over parsing."""
        return self.decode / self.parse


def decode_time(file: bytes, float32: bytes) -> DecodeTime:
    """Of decoding a compressed file, and of parsing the dense graph in float32 with the package onnx."""
    decoding, parsing = [], []
    for _ in range(ROUNDS):
        decoding.append(_seconds(lambda: decode(file)))
        parsing.append(_seconds(lambda: onnx.load_from_string(float32)))
    return DecodeTime(median(decoding), median(parsing))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
