"""Where does a split that somebody made put each image?"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.cohort import LabelledImage
from core.errors import CohortError
from core.split import TRAINING, Split

Places = list[frozenset[str]]
"""Of each image, the places it has: one, or several where the split contradicts itself."""


def read_places(path: Path, images: Sequence[LabelledImage]) -> Places:
    """Reads the JSON of `dxtree split` or `dxtree train`, or a CSV with columns lesion (or image) and part.

    A CSV may have a column `fold`, and parts of any names. Raises `CohortError` for a file that is neither,
    and where an image has no place.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise CohortError(f"{path.name} cannot be read as UTF-8 text; give a split as JSON or CSV") from None
    if text.lstrip().startswith("{"):
        by_lesion: Mapping[str, frozenset[str]] = _of_split(_parsed(text, path.name))
        by_image: Mapping[str, frozenset[str]] = {}
    else:
        by_lesion, by_image = _of_table(text, path.name)
    places = [by_image.get(i.image, frozenset()) | by_lesion.get(i.lesion, frozenset()) for i in images]
    missing = [i for i, found in zip(images, places, strict=True) if not found]
    if missing:
        lesions = sorted({i.lesion for i in missing})
        raise CohortError(
            f"{path.name} has no place for {len(lesions)} lesions ({len(missing)} images), {lesions[0]} for "
            "one; split all cohorts together, or check against those that were split"
        )
    return places


def _parsed(text: str, name: str) -> Split:
    try:
        return Split.from_dict(json.loads(text))
    except ValueError:
        raise CohortError(f"{name} is no whole JSON document; make the split again") from None


def _of_split(split: Split) -> dict[str, frozenset[str]]:
    return {
        lesion: frozenset({f"{part}, fold {split.fold[lesion]}" if part == TRAINING else part})
        for lesion, part in split.part.items()
    }


def _of_table(text: str, name: str) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Places by lesion and by image; a table fills one of the two."""
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        columns = rows.fieldnames or []
        key = next((c for c in ("image", "lesion") if c in columns), None)
        if key is None or "part" not in columns:
            raise CohortError(f"{name} needs the columns lesion (or image) and part, and may have fold")
        found: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            if not row[key] or not row["part"]:
                raise CohortError(f"{name}, line {rows.line_num}: {key} or part is empty")
            fold = row.get("fold")
            found[row[key]].add(f"{row['part']}, fold {fold}" if fold else row["part"])
    except csv.Error:
        raise CohortError(f"{name}, line {rows.line_num} cannot be read as CSV") from None
    places = {marked: frozenset(those) for marked, those in found.items()}
    return ({}, places) if key == "image" else (places, {})
