"""ISIC 2020: how are the training images of the SIIM-ISIC challenge read, with patients and duplicates?

Rotemberg et al., Scientific Data 8:34 (2021); doi 10.34970/2020-ds01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.isic import SITES
from dxtree.cohorts.labels import ISIC, Labels
from dxtree.cohorts.nodes import BINARY_OFFICIAL, EPIDERMAL, FLAT, MELANOMA, NEVUS
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import Row, find_table, read_rows
from dxtree.cohorts.terms import PatientColumns

DUPLICATES = "ISIC_2020_Training_Duplicates.csv"
"""The organisers' list of 425 pairs of one picture under two ids, by the published description."""

_ATYPICAL = "Indeterminate:Indeterminate melanocytic proliferations"
_DUPLICATE = f"a duplicate by {DUPLICATES}"
_KINDS: Mapping[str, str | None] = {"benign": "benign", "malignant": "malignant"}

ISIC_2020 = FlatSet(
    name="isic_2020",
    title="ISIC 2020: dermoscopic images with patients, melanoma or not",
    tables=("ISIC_2020_Training_GroundTruth_v2.csv", "ISIC_2020_Training_GroundTruth.csv", "train.csv"),
    image="image_name",
    label="diagnosis",
    labels=Labels(
        {
            ISIC: {
                "atypical melanocytic proliferation": _ATYPICAL,
                "cafe-au-lait macule": f"{FLAT}:Cafe au lait macule or patch",
                "lentigo NOS": f"{FLAT}:Lentigo NOS",
                "lichenoid keratosis": f"{EPIDERMAL}:Lichen planus like keratosis",
                "melanoma": MELANOMA,
                "nevus": NEVUS,
                "seborrheic keratosis": f"{EPIDERMAL}:Seborrheic keratosis",
                "solar lentigo": f"{EPIDERMAL}:Solar lentigo",
                # all that the set says of these; by the published counts none is malignant
                "unknown, benign": "Benign",
                "unknown, malignant": "Malignant",
            }
        }
    ),
    modality="dermoscopy",
    patient=PatientColumns(
        "age_approx", "sex", "anatom_site_general_challenge", sites={**SITES, "torso": "trunk"}
    ),
    person="patient_id",
    official_nodes=BINARY_OFFICIAL,
    lesion=lambda row: row.get("lesion_id", ""),
    official="benign_malignant",
    classes=_KINDS,
)
"""33,126 images of 2,056 patients by the published description. Lesion ids came with the second version."""


def survey_isic_2020(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads the training table; with the list of duplicates beside it, the second of each pair is left out.

    Raises `CohortError` naming file, line and column for whatever cannot be read.
    """
    root, name = Path(folder), ISIC_2020.name
    rows = read_rows(find_table(root, ISIC_2020.tables, name), name, ISIC_2020.columns)
    second = _duplicates(root)
    reading = replace(ISIC_2020, unused=lambda row: _DUPLICATE if row["image_name"] in second else "")
    return reading.survey_rows(((where, _told(row)) for where, row in rows), root, taxonomy)


def _duplicates(root: Path) -> frozenset[str]:
    tables = [p for p in (root / DUPLICATES, *root.glob(f"*/{DUPLICATES}")) if p.is_file()]
    columns = ("image_name_1", "image_name_2")
    return frozenset(
        row[columns[1]] for table in tables for _, row in read_rows(table, ISIC_2020.name, columns)
    )


def _told(row: Row) -> Row:
    """The row with an unknown diagnosis as far as it is known: benign or malignant."""
    if row["diagnosis"] != "unknown":
        return row
    return {**row, "diagnosis": f"unknown, {row['benign_malignant']}"}
