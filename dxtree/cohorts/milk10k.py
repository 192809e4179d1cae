"""MILK10k: how are the tables of the challenge read, and how the archive's?

MILK study team, ISIC Archive (2025): a clinical close-up and a dermoscopic image of each lesion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.taxonomy import Taxonomy
from dxtree.cohorts.gathering import Record, gather
from dxtree.cohorts.isic import MODALITIES, SITES, TABLE, survey_isic
from dxtree.cohorts.labels import Labels, common_node
from dxtree.cohorts.one_hot import join, read_one_hot
from dxtree.cohorts.public import MILK10K
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import ImageFiles, Row, find_table, read_rows
from dxtree.cohorts.terms import PatientColumns, meaning

_METADATA = "MILK10k_Training_Metadata.csv"
_TRUTH = "MILK10k_Training_GroundTruth.csv"
_SUPPLEMENT = "MILK10k_Training_Supplement.csv"
_CLASS = "class"
_NEEDED = ("isic_id", "lesion_id", "image_type", "age_approx", "sex", "site", "skin_tone_class")


def survey_milk10k(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads `metadata.csv` where there is one, else the training tables of the challenge.

    With the challenge's supplement beside them each image is labelled by its own diagnosis, without it by
    the node above all that its class holds: AKIEC, whose lesions are indeterminate or malignant, has none.
    Raises `CohortError` naming file, line and column for whatever cannot be read or joined.
    """
    root, name = Path(folder), MILK10K.name
    if (root / TABLE).is_file():
        return survey_isic(root, taxonomy, MILK10K)
    table = find_table(root, (_METADATA,), name)
    truth = read_one_hot(find_table(root, (_TRUTH,), name), name, "lesion_id", tuple(MILK10K.official_nodes))
    rows = join(list(read_rows(table, name, _NEEDED)), "lesion_id", truth, _CLASS)
    labels = Labels({taxonomy.name: _meanings(taxonomy)})
    return gather(name, _records(rows, _diagnoses(table.parent)), labels, taxonomy, ImageFiles(root))


def _meanings(taxonomy: Taxonomy) -> Mapping[str, str | None]:
    """The name of every node, and each official class."""
    classes = {
        name: common_node((n for n in nodes if n in taxonomy), taxonomy)
        for name, nodes in MILK10K.official_nodes.items()
    }
    return classes | {taxonomy.label(node): node for node in taxonomy if node != taxonomy.root}


def _diagnoses(folder: Path) -> Mapping[str, str]:
    table = folder / _SUPPLEMENT
    if not table.is_file():
        return {}
    rows = read_rows(table, MILK10K.name, ("isic_id", "diagnosis_full"))
    return {row["isic_id"]: row["diagnosis_full"] for _, row in rows}


def _records(rows: list[tuple[str, Row]], diagnoses: Mapping[str, str]) -> Iterator[Record]:
    patient = PatientColumns("age_approx", "sex", "site", sites=SITES)
    for where, row in rows:
        fine = diagnoses.get(row["isic_id"])
        yield Record(
            where=where,
            image=row["isic_id"],
            file=row["isic_id"],
            column="isic_id",
            lesion=row["lesion_id"],
            modality=meaning(row, where, "image_type", MODALITIES) or "",
            label=row[_CLASS] if fine is None else fine,
            labelled=_CLASS if fine is None else f"diagnosis_full of {_SUPPLEMENT}",
            patient=patient.read(row, where),
            unplaced=patient.unplaced(row),
            official=row[_CLASS],
            groups={"skin_tone": row["skin_tone_class"]} if row["skin_tone_class"] else {},
        )
