"""Which scores does a small JSON or CSV file hold? Read strictly: nothing is guessed, clipped or filled in.

JSON: one flat object of concept to number or null. CSV: a line of concepts and a line of numbers, an empty
cell for what is not known. A concept that is absent, null or empty is missing, which is not 0.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import CorruptImage, EmptyInput, ImageTooLarge, InputError, UnsupportedFormat
from modalities.concepts.vocabulary import CONCEPTS, concept_of
from modalities.images.source import read_source

MAX_BYTES = 64 * 1024
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


@dataclass(frozen=True)
class Concepts:
    """Scores by concept, 0 to 1, of those that are known; at least one is."""

    scores: Mapping[str, float]

    @property
    def missing(self) -> tuple[str, ...]:
        """Concepts without a score, in the order of `CONCEPTS`."""
        return tuple(c for c in CONCEPTS if c not in self.scores)


def read_concepts(source: bytes | str | os.PathLike[str]) -> Concepts:
    """The scores of a file, by path or bytes, of at most 64 KiB.

    Raises `EmptyInput` where no score is known, `UnsupportedFormat` for neither JSON nor CSV in UTF-8,
    `CorruptImage` for a file that is cut or ragged, `InputError` for an unknown concept, one that is given
    twice and a score that is no number from 0 to 1, and what reading a file raises. No message holds a score.
    """
    data = read_source(source, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise ImageTooLarge(f"the file of concepts has more than {MAX_BYTES} bytes, the most that is read")
    if not data.strip():
        raise EmptyInput("the file of concepts is empty; give one score at least")
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UnsupportedFormat("a file of concepts is JSON or CSV in UTF-8") from None
    if "\0" in text:
        raise UnsupportedFormat("a file of concepts is JSON or CSV in UTF-8")
    found: dict[str, float] = {}
    seen: set[str] = set()
    for name, value in _json(text) if text.startswith(("{", "[")) else _csv(text):
        concept = concept_of(name)
        if concept in seen:
            raise InputError(f"the concept {concept} is given twice; give it once")
        seen.add(concept)
        if value is not None:
            found[concept] = value if isinstance(value, float) else score_of(concept, value)
    if not found:
        raise EmptyInput("no concept is known; give one score at least")
    return Concepts({c: found[c] for c in CONCEPTS if c in found})


def score_of(concept: str, value: object) -> float:
    """A number from 0 to 1. Raises `InputError` naming the concept, and never the value."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        raise InputError(f"{concept} must be a number from 0 to 1, or be left out where it is not known")
    return float(value)  # type: ignore[arg-type]


def cell_of(concept: str, text: str) -> float | None:
    """The score in a table's cell; `None` for an empty one. Raises `InputError` as `score_of` does."""
    bare = text.strip()
    if not bare:
        return None
    return score_of(concept, float(bare) if _NUMBER.fullmatch(bare) else None)


def _json(text: str) -> Iterator[tuple[str, Any]]:
    def refuse(_: str) -> None:
        raise InputError("a concept must be a number from 0 to 1, or be left out where it is not known")

    try:
        pairs = json.loads(text, object_pairs_hook=_Pairs, parse_constant=refuse, parse_int=_whole)
    except (ValueError, RecursionError):
        raise CorruptImage("the file of concepts is no whole JSON; it may be cut short") from None
    if not isinstance(pairs, _Pairs):
        raise UnsupportedFormat("a file of concepts in JSON is one object of concept to number")
    for name, value in pairs:
        yield name, value if value is None else score_of(concept_of(name), value)


class _Pairs(list[tuple[str, Any]]):
    """An object of JSON with every pair that stands there, so that one of two alike is not lost."""


def _whole(text: str) -> int | float:
    # Python refuses to read integers of more than 4,300 digits, with an error of its own.
    return int(text) if len(text) < 10 else float("inf")


def _csv(text: str) -> Iterator[tuple[str, float | None]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        raise CorruptImage("the file of concepts is no whole CSV; a quote may be open") from None
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        raise UnsupportedFormat(
            "a file of concepts in CSV is a line of concepts and a line of as many numbers; one file a lesion"
        )
    for name, cell in zip(*rows, strict=True):
        yield name.strip(), cell_of(concept_of(name.strip()), cell)
