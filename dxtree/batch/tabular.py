"""How does a row with columns become a case? The same for CSV and Parquet."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from core.case import FIELDS, Case, ImageInput, PatientMetadata
from core.errors import CaseError, InputError, MetadataError, did_you_mean
from dxtree.batch.paths import confined
from dxtree.batch.rows import Row

ID = "id"
BETWEEN = ";"
"""Stands between the paths of several images of one modality."""

# What `float` also reads (underscores, spaces, exponents, other digits) nobody means as an age.
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?")


def check_columns(names: Sequence[str], modalities: Collection[str], file: str) -> None:
    """Raises `InputError` for a header without `id` or any image, and for a column unknown or doubled."""
    if ID not in names:
        raise InputError(f"{file} has no column 'id'; its first line must name the columns")
    allowed = (ID, *FIELDS, *sorted(modalities))
    for name in names:
        if name not in allowed:
            shown = name[:64]
            raise InputError(
                f"{file} has a column {shown!r} that is none of {', '.join(allowed)}"
                f"{did_you_mean(shown, allowed)}"
            )
        if names.count(name) > 1:
            raise InputError(f"{file} names the column {name!r} twice; leave one out")
    if not set(names) & set(modalities):
        raise InputError(f"{file} has no column of images; name one of {', '.join(sorted(modalities))}")


def images_of(raw: dict[str, Any], columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The paths of every image column that holds any, as they stand there."""
    return {name: paths for name in columns if (paths := _paths(raw.get(name)))}


def tabular_case(row: Row, columns: Sequence[str], root: Path) -> Case:
    """The row as a case; `columns` are those of images.

    Raises `CaseError`, `MetadataError`, or `PathRejected` for an image that lies outside `root`.
    """
    raw = dict(row.raw)
    found = images_of(raw, columns)
    if not found:
        raise CaseError(f"the row has no image; give one as {' or '.join(columns)}")
    images = []
    for modality, paths in found.items():
        if "" in paths:
            raise CaseError(f"{modality} has an empty path; write one {BETWEEN!r} between two paths")
        images += [ImageInput(modality=modality, path=confined(path, root)) for path in paths]
    patient = PatientMetadata(
        age_years=_age(raw.get("age_years")), sex=raw.get("sex") or None, site=raw.get("site") or None
    )
    return Case(id=row.id, images=tuple(images), patient=patient)


def _paths(value: Any) -> tuple[str, ...]:
    if not value:
        return ()
    return tuple(value.split(BETWEEN)) if isinstance(value, str) else tuple(path or "" for path in value)


def _age(value: Any) -> float | None:
    if value is None or isinstance(value, int | float):
        return value
    if value in ("", "unknown"):
        return None
    if not _NUMBER.fullmatch(value):
        raise MetadataError("age_years must be a number from 0 to 120 in years, such as 62.5, or be empty")
    return float(value)
