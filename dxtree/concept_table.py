"""Which rows of a table show a lesion's concepts and its truth?

Either the table names both, in columns `lesion` and `label` (a node of the tree), or it names images, whose
lesion and label a cohort knows. Columns of concepts may be called as in MILK10k, `MONET_...`; others are not
read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.cohort import LabelledImage
from core.errors import CohortError, InputError
from core.partition import Partition
from core.split import VALIDATION
from dxtree.cohorts.tables import columns_of, read_rows
from modalities.concepts.fitting import ConceptRow
from modalities.concepts.reader import cell_of
from modalities.concepts.vocabulary import CONCEPTS, known_as

_WHO = "concepts"
LESION, LABEL = "lesion", "label"


@dataclass(frozen=True)
class ConceptTable:
    """Rows that can be fitted on, the table's concepts, and how many rows were left out and why."""

    rows: tuple[ConceptRow, ...]
    concepts: tuple[str, ...]
    left_out: Mapping[str, int]


def read_concept_table(
    table: Path,
    partition: Partition,
    images: Mapping[str, LabelledImage] | None = None,
    *,
    key: str = "isic_id",
    part_of: Callable[[str], str | None] = lambda _: None,
) -> ConceptTable:
    """Reads a table; with `images` by id its column `key` names them.

    `part_of` says what part a lesion has in the model set that the bundle is for: what was held out there is
    left out here. Raises `CohortError` for a table that cannot be read, a concept that two columns name, a
    score out of range, an unknown label and where no row is left.
    """
    columns = [(c, known_as(c)) for c in columns_of(table, _WHO)]
    concepts = {name: concept for name, concept in columns if concept is not None}
    twice = {c for c in concepts.values() if list(concepts.values()).count(c) > 1}
    if twice or not concepts:
        told = (
            f"two columns name {min(twice)}" if twice else f"no column names a concept: {', '.join(CONCEPTS)}"
        )
        raise CohortError(f"{table.name}: {told}")
    needed = (key,) if images is not None else (LESION, LABEL)
    rows: list[ConceptRow] = []
    left: dict[str, int] = {}
    for where, row in read_rows(table, _WHO, (*needed, *concepts)):
        lesion, label = row.get(LESION, ""), row.get(LABEL, "")
        if images is not None:
            image = images.get(row[key])
            lesion, label = ("", "") if image is None else (image.lesion, image.label)
        try:
            scores = {c: s for n, c in concepts.items() if (s := cell_of(c, row[n])) is not None}
        except InputError as error:
            raise CohortError(f"{where}: {error.safe_message}") from None
        if lesion and label not in partition.taxonomy:
            raise CohortError(f"{where}: the label is no node of {partition.taxonomy.name}")
        owner = partition.class_of(label) if lesion else None
        why = _why_not(lesion, owner, scores, part_of)
        if why or owner is None:
            left[why] = left.get(why, 0) + 1
        else:
            rows.append(ConceptRow(lesion, scores, owner))
    if not rows:
        told = "; ".join(f"{n:,}: {why}" for why, n in left.items()) or "it has no line"
        raise CohortError(f"{table.name}: no row can be fitted on ({told})")
    return ConceptTable(tuple(rows), tuple(concepts.values()), left)


def _why_not(
    lesion: str, owner: str | None, scores: Mapping[str, float], part_of: Callable[[str], str | None]
) -> str:
    if not lesion:
        return "the cohort does not know the image"
    if owner is None:
        return "the label lies in no training class"
    if not scores:
        return "no concept is known"
    return "the model set held the lesion out" if part_of(lesion) == VALIDATION else ""
