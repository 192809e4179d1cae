"""HAM10000: how is the table of the Harvard Dataverse read, and how the archive's?

Tschandl et al., Scientific Data 5:180161 (2018); doi 10.7910/DVN/DBW86T.
"""

from __future__ import annotations

from pathlib import Path

from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.isic import TABLE, survey_isic
from dxtree.cohorts.labels import ISIC, Labels
from dxtree.cohorts.nodes import BASAL, DERMATOFIBROMA, EPIDERMAL, MELANOMA, NEVUS, VASCULAR
from dxtree.cohorts.public import HAM10000
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.terms import HAM10000_SITES, PatientColumns

HAM10000_OWN = FlatSet(
    name="ham10000",
    title="HAM10000: dermoscopic images, 7 classes",
    tables=("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab"),
    image="image_id",
    label="dx",
    labels=Labels(
        {
            ISIC: {
                # actinic keratosis, which is indeterminate, or Bowen's disease, which is malignant
                "akiec": None,
                "bcc": BASAL,
                "bkl": EPIDERMAL,
                "df": DERMATOFIBROMA,
                "mel": MELANOMA,
                "nv": NEVUS,
                "vasc": VASCULAR,
            }
        }
    ),
    modality="dermoscopy",
    patient=PatientColumns("age", "sex", "localization", sites=HAM10000_SITES),
    needed=("lesion_id",),
    official_nodes=HAM10000.official_nodes,
    lesion=lambda row: row["lesion_id"],
    official="dx",
    classes={name.lower(): name for name in HAM10000.official_nodes} | {"": None},
)
"""The table as published; its lesions are numbered `HAM_...`, those of the archive `IL_...`."""


def survey_ham10000(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads `metadata.csv` of the archive where there is one, else the table of the Dataverse.

    Raises `CohortError` as `survey_isic` and `FlatSet.survey` do.
    """
    if (Path(folder) / TABLE).is_file():
        return survey_isic(folder, taxonomy, HAM10000)
    return HAM10000_OWN.survey(folder, taxonomy)
