"""Which public sets of fundus photographs can be read? APTOS 2019 and ODIR-5K, as their tables are laid out.

APTOS 2019 (Kaggle, Asia Pacific Tele-Ophthalmology Society): `train.csv` with `id_code,diagnosis`, grades 0
to 4 of the International Clinical Diabetic Retinopathy scale, and a picture for each id. Grade 0 means no
retinopathy and not a normal fundus: no node of the tree says as much, so these pictures are left out and
counted.

ODIR-5K (Peking University, Grand Challenge 2019): a table with a line a patient, `ID`, `Patient Age`,
`Patient Sex`, `Left-Fundus`, `Right-Fundus` and keywords by eye. The columns N to O are of the patient and
not of an eye; they are not read. Two keywords on different branches have no common node, and such an eye is
left out and counted.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from core.cohort import LabelledImage
from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.labels import Labels, common_node
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import Row, find_table, read_rows
from dxtree.cohorts.terms import PatientColumns
from dxtree_fundus import tree

_LOG = logging.getLogger("dxtree_fundus")
GRADES: Mapping[str, str | None] = {
    "0": None,
    "1": tree.MILD,
    "2": tree.MODERATE,
    "3": tree.SEVERE,
    "4": tree.PROLIFERATIVE,
}
APTOS_OFFICIAL = {grade: (node,) for grade, node in GRADES.items() if node is not None}
KEYWORDS: Mapping[str, str] = {
    "normal fundus": tree.NORMAL,
    "mild nonproliferative retinopathy": tree.MILD,
    "moderate non proliferative retinopathy": tree.MODERATE,
    "severe nonproliferative retinopathy": tree.SEVERE,
    "severe proliferative diabetic retinopathy": tree.PROLIFERATIVE,
    "proliferative diabetic retinopathy": tree.PROLIFERATIVE,
    "diabetic retinopathy": tree.DIABETIC,
    "branch retinal vein occlusion": tree.BRANCH,
    "central retinal vein occlusion": tree.CENTRAL,
    "hypertensive retinopathy": tree.HYPERTENSIVE,
    "branch retinal artery occlusion": tree.ARTERY,
    "central retinal artery occlusion": tree.ARTERY,
    "age-related macular degeneration": tree.DEGENERATION,
    "dry age-related macular degeneration": tree.DRY,
    "wet age-related macular degeneration": tree.WET,
    "epiretinal membrane": tree.MEMBRANE,
    "macular epiretinal membrane": tree.MEMBRANE,
    "macular hole": tree.HOLE,
    "glaucoma": tree.GLAUCOMA,
    "pathological myopia": tree.MYOPIA,
    "cataract": tree.CATARACT,
}
"""The keywords of ODIR-5K that mean a node; any other one ("lens dust", "suspected glaucoma") leaves an eye
out.
"""

EYES = ("Left", "Right")
_TABLES = ("full_df.csv", "data.csv", "ODIR-5K_Training_Annotations.csv")

APTOS = FlatSet(
    name="aptos_2019",
    title="APTOS 2019",
    tables=("train.csv", "train_1.csv"),
    image="id_code",
    label="diagnosis",
    labels=Labels({tree.NAME: GRADES}),
    modality="fundus",
    official="diagnosis",
    classes={grade: grade for grade in GRADES},
    official_nodes=APTOS_OFFICIAL,
    malignant=None,
)
ODIR = FlatSet(
    name="odir_5k",
    title="ODIR-5K",
    tables=_TABLES,
    image="file",
    label="diagnosis",
    labels=Labels({tree.NAME: {node: node for node in tree.taxonomy()}}, closed=False),
    modality="fundus",
    patient=PatientColumns(age="Patient Age", sex="Patient Sex", sexes={"Female": "female", "Male": "male"}),
    person="ID",
    lesion=lambda row: f"{row['ID']}_{row['eye']}",
    groups=lambda row: {"eye": row["eye"]},
    malignant=None,
)


def read_aptos(folder: Path, taxonomy: Taxonomy) -> list[LabelledImage]:
    """Every picture graded 1 to 4. Raises `CohortError` for what cannot be read and for another tree."""
    return _told(APTOS.survey(folder, taxonomy))


def read_odir(folder: Path, taxonomy: Taxonomy) -> list[LabelledImage]:
    """Every eye whose keywords have a node. Raises `CohortError` for what cannot be read and another tree."""
    table = find_table(folder, _TABLES, ODIR.name)
    needed = (
        "ID",
        "Patient Age",
        "Patient Sex",
        *(f"{e}-{c}" for e in EYES for c in ("Fundus", "Diagnostic Keywords")),
    )
    return _told(ODIR.survey_rows(_eyes(read_rows(table, ODIR.name, needed), taxonomy), folder, taxonomy))


def _eyes(rows: Iterator[tuple[str, Row]], taxonomy: Taxonomy) -> Iterator[tuple[str, Row]]:
    """A line an eye. Kaggle's `full_df.csv` has a line for each of both, alike but for its last columns."""
    seen: set[str] = set()
    for where, row in rows:
        for eye in EYES:
            file, text = row[f"{eye}-Fundus"], row[f"{eye}-Diagnostic Keywords"]
            if file and file not in seen:
                seen.add(file)
                yield where, {**row, "file": file, "eye": eye.lower(), "diagnosis": diagnosis(text, taxonomy)}


def diagnosis(keywords: str, taxonomy: Taxonomy) -> str:
    """The deepest node above all keywords; the keywords as they stand where there is none."""
    words = [w for part in re.split("[,，]", keywords) if (w := part.strip().lower())]
    if not words or not all(w in KEYWORDS for w in words):
        return keywords
    return common_node([KEYWORDS[w] for w in words], taxonomy) or keywords


def _told(found: CohortSurvey) -> list[LabelledImage]:
    """The images; what was left out is said on the log, not dropped in silence."""
    for line in found.lines() if found.lost else ():
        _LOG.warning("%s", line)
    return list(found.images)
