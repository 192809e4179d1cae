"""Derm7pt: how do a dermoscopic and a clinical image of one lesion come out of one row?

Kawahara et al., IEEE Journal of Biomedical and Health Informatics 23:538 (2019).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from core.errors import CohortError
from core.taxonomy import Taxonomy
from dxtree.cohorts.gathering import Record, gather
from dxtree.cohorts.labels import ISIC, Labels
from dxtree.cohorts.nodes import (
    BASAL,
    DERMATOFIBROMA,
    EPIDERMAL,
    FLAT,
    MELANOCYTIC,
    MELANOMA,
    NEVUS,
    VASCULAR,
)
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import ImageFiles, find_table, read_rows
from dxtree.cohorts.terms import DERM7PT_SITES, PatientColumns

NAME = "derm7pt"
TITLE = "Derm7pt: a dermoscopic and a clinical image of each lesion, 5 classes"
TABLE = "meta.csv"

_INVASIVE = f"{MELANOMA}:Melanoma Invasive"
_DIAGNOSES: Mapping[str, tuple[str | None, str]] = {
    "basal cell carcinoma": (BASAL, "BCC"),
    "blue nevus": (f"{NEVUS}:Blue nevus", "NEV"),
    "clark nevus": (f"{NEVUS}:Nevus, Atypical, Dysplastic, or Clark:Nevus, Clark", "NEV"),
    "combined nevus": (f"{NEVUS}:Nevus, Combined", "NEV"),
    "congenital nevus": (f"{NEVUS}:Nevus, Congenital", "NEV"),
    "dermal nevus": (f"{NEVUS}:Nevus, NOS, Dermal", "NEV"),
    "recurrent nevus": (f"{NEVUS}:Nevus, Recurrent or persistent", "NEV"),
    # Reed or Spitz: the node above both
    "reed or spitz nevus": (NEVUS, "NEV"),
    "melanoma": (MELANOMA, "MEL"),
    "melanoma (in situ)": (f"{MELANOMA}:Melanoma in situ", "MEL"),
    "melanoma (less than 0.76 mm)": (_INVASIVE, "MEL"),
    "melanoma (0.76 to 1.5 mm)": (_INVASIVE, "MEL"),
    "melanoma (more than 1.5 mm)": (_INVASIVE, "MEL"),
    "melanoma metastasis": (f"{MELANOMA}:Melanoma metastasis", "MEL"),
    "dermatofibroma": (DERMATOFIBROMA, "MISC"),
    "lentigo": (f"{FLAT}:Lentigo NOS", "MISC"),
    "melanosis": (FLAT, "MISC"),
    "miscellaneous": (None, "MISC"),
    "vascular lesion": (VASCULAR, "MISC"),
    "seborrheic keratosis": (f"{EPIDERMAL}:Seborrheic keratosis", "SK"),
}
"""Column `diagnosis`: the node, and the group that the authors put it in."""

OFFICIAL: Mapping[str, tuple[str, ...]] = {
    "BCC": (BASAL,),
    "NEV": (MELANOCYTIC,),
    "MEL": (MELANOMA,),
    "MISC": (DERMATOFIBROMA, FLAT, VASCULAR),
    "SK": (EPIDERMAL,),
}
"""The five classes of the authors' own code, `Derm7PtDatasetGroupInfrequent`."""

_VIEWS = {"derm": "dermoscopy", "clinic": "clinical"}
_PARTS = {"train": "train_indexes.csv", "valid": "valid_indexes.csv", "test": "test_indexes.csv"}
_PATIENT = PatientColumns(sex="sex", site="location", sites=DERM7PT_SITES)
_NEEDED = ("case_num", "diagnosis", *_VIEWS, *_PATIENT.names)


def survey_derm7pt(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads `meta/meta.csv` and the files below `images`; the index files beside it, where they are, give
    each lesion's part as the group `official_part`.

    Raises `CohortError` naming file, line and column for whatever cannot be read.
    """
    root = Path(folder)
    table = find_table(root, (TABLE, f"meta/{TABLE}"), NAME)
    labels = Labels({ISIC: {name: node for name, (node, _) in _DIAGNOSES.items()}})
    return gather(NAME, _records(table), labels, taxonomy, ImageFiles(root))


def _records(table: Path) -> Iterator[Record]:
    rows = list(read_rows(table, NAME, _NEEDED))
    parts = _official_parts(table.parent, len(rows))
    for index, (where, row) in enumerate(rows):
        if not row["case_num"]:
            raise CohortError(f"{where}: case_num is empty; each row is one lesion")
        lesion = f"{NAME}_{row['case_num']}"
        for column, modality in _VIEWS.items():
            yield Record(
                where=where,
                image=f"{lesion}_{column}",
                file=row[column],
                column=column,
                lesion=lesion,
                modality=modality,
                label=row["diagnosis"],
                labelled="diagnosis",
                patient=_PATIENT.read(row, where),
                unplaced=_PATIENT.unplaced(row),
                official=_DIAGNOSES.get(row["diagnosis"], (None, None))[1],
                groups={"official_part": parts[index]} if index in parts else {},
            )


def _official_parts(folder: Path, count: int) -> Mapping[int, str]:
    """The part of each row, counted from 0; empty without index files."""
    found: dict[int, str] = {}
    for part, name in _PARTS.items():
        if not (folder / name).is_file():
            continue
        for where, row in read_rows(folder / name, NAME, ("indexes",)):
            text = row["indexes"]
            if not text.isdecimal() or int(text) >= count:
                raise CohortError(f"{where}: indexes must be a row of {TABLE}, from 0 to {count - 1}")
            if found.setdefault(int(text), part) != part:
                raise CohortError(f"{where}: a row stands in two of the index files; download them again")
    return found
