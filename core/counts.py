"""How many images does each node of a tree have? Read from a CSV with one column per level."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from core.errors import TaxonomyError
from core.taxonomy import ROOT, SEPARATOR, Taxonomy


def read_counts(source: str | PathLike[str]) -> tuple[Taxonomy, dict[str, int]]:
    """Reads a CSV with one column per level, coarse to fine, and ``images`` last.

    Returns the tree and the number of images *labelled at* each listed node. Trailing empty levels mean
    that the label sits on an inner node. Rows of one node are added up.

    Raises `TaxonomyError` naming the row for a count that is no whole number >= 0, an empty level
    before a filled one or a ragged row.
    """
    path = Path(source)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except UnicodeDecodeError as error:
        raise TaxonomyError(f"{path.name}: a counts CSV is UTF-8; save it as such") from error
    except (OSError, csv.Error) as error:
        raise TaxonomyError(f"{path.name} cannot be read ({type(error).__name__})") from error
    if not rows or len(rows[0]) < 2 or rows[0][-1].strip() != "images":
        raise TaxonomyError(f"{path.name}: needs one column per level and a last column named 'images'")
    paths: list[tuple[str, ...]] = []
    counts: dict[str, int] = {}
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        parts = _levels(row, len(rows[0]), f"{path.name}, line {number}")
        node = SEPARATOR.join(parts) or ROOT
        paths.append(parts)
        counts[node] = counts.get(node, 0) + int(row[-1])
    return Taxonomy.from_paths(path.stem, paths), counts


_MAX_DIGITS = 18
"""Digits of the largest count that a sum in int64 surely holds."""


def _levels(row: Sequence[str], width: int, where: str) -> tuple[str, ...]:
    if len(row) != width:
        raise TaxonomyError(f"{where}: has {len(row)} fields, the header has {width}")
    images = row[-1].strip()
    if not images.isdecimal() or len(images) > _MAX_DIGITS:
        raise TaxonomyError(f"{where}: images is {images[:40]!r}; a whole number >= 0 is needed")
    parts = [part.strip() for part in row[:-1]]
    while parts and not parts[-1]:
        parts.pop()
    if not all(parts):
        raise TaxonomyError(f"{where}: a level is empty although a finer one is filled")
    return tuple(parts)
