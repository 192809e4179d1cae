"""ISIC 2019: how do the two training tables of the challenge become labelled images?

International Skin Imaging Collaboration, challenge of 2019: HAM10000, BCN20000 and MSK together.
"""

from __future__ import annotations

from pathlib import Path

from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.isic import SITES
from dxtree.cohorts.labels import ISIC, Labels
from dxtree.cohorts.nodes import EIGHT_LABELS, EIGHT_OFFICIAL
from dxtree.cohorts.one_hot import join, read_one_hot
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import find_table, read_rows
from dxtree.cohorts.terms import PatientColumns

_TRUTH = "ISIC_2019_Training_GroundTruth.csv"
_CLASS = "class"
_CLASSES = (*EIGHT_LABELS, "UNK")

ISIC_2019 = FlatSet(
    name="isic_2019",
    title="ISIC 2019: dermoscopic images of three sources, 8 classes",
    tables=("ISIC_2019_Training_Metadata.csv",),
    image="image",
    label=_CLASS,
    # none of the others: no node means that
    labels=Labels({ISIC: {**EIGHT_LABELS, "UNK": None}}),
    modality="dermoscopy",
    patient=PatientColumns("age_approx", "sex", "anatom_site_general", sites=SITES),
    needed=("lesion_id",),
    official_nodes=EIGHT_OFFICIAL,
    lesion=lambda row: row["lesion_id"],
    official=_CLASS,
    classes={name: name for name in EIGHT_OFFICIAL} | {"UNK": None},
    tail="_downsampled",
)
"""25,331 images by the published description; 2,084 of them without a lesion id."""


def survey_isic_2019(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Joins `ISIC_2019_Training_Metadata.csv` with the ground truth of the same release.

    Raises `CohortError` naming file, line and column for whatever cannot be read or joined.
    """
    root, name = Path(folder), ISIC_2019.name
    truth = read_one_hot(find_table(root, (_TRUTH,), name), name, "image", _CLASSES)
    table = find_table(root, ISIC_2019.tables, name)
    needed = [c for c in ISIC_2019.columns if c != _CLASS]
    rows = join(list(read_rows(table, name, needed)), "image", truth, _CLASS)
    return ISIC_2019.survey_rows(rows, root, taxonomy)
