"""BCN20000: how is the set's own table read, and how the archive's?

Hernández-Pérez et al., Scientific Data 11:641 (2024); figshare, `bcn_20k_train.csv`.
"""

from __future__ import annotations

from pathlib import Path

from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.isic import SITES, TABLE, survey_isic
from dxtree.cohorts.labels import ISIC, Labels
from dxtree.cohorts.nodes import EIGHT_LABELS, EIGHT_OFFICIAL
from dxtree.cohorts.public import BCN20000
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.terms import PatientColumns

BCN20000_OWN = FlatSet(
    name="bcn20000",
    title="BCN20000: dermoscopic images of a hospital, nails and mucosa among them, 8 classes",
    tables=("bcn_20k_train.csv",),
    image="bcn_filename",
    label="diagnosis",
    labels=Labels({ISIC: EIGHT_LABELS}),
    modality="dermoscopy",
    patient=PatientColumns("age_approx", "sex", "anatom_site_general", sites=SITES),
    needed=("lesion_id",),
    official_nodes=EIGHT_OFFICIAL,
    lesion=lambda row: row["lesion_id"],
    official="diagnosis",
    classes={name: name for name in EIGHT_OFFICIAL} | {"": None},
)
"""The table of the figshare release; its test table holds no diagnoses and is not read."""


def survey_bcn20000(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads `metadata.csv` of the archive where there is one, else the set's own table.

    Raises `CohortError` as `survey_isic` and `FlatSet.survey` do.
    """
    if (Path(folder) / TABLE).is_file():
        return survey_isic(folder, taxonomy, BCN20000)
    return BCN20000_OWN.survey(folder, taxonomy)
