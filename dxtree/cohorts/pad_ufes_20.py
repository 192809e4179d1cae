"""PAD-UFES-20: what do its smartphone photographs, its patients and its six diagnoses say?

Pacheco et al., Data in Brief 32:106221 (2020); Mendeley Data, doi 10.17632/zr7vgbcyr2.1.
"""

from __future__ import annotations

from collections.abc import Mapping

from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.labels import ISIC, Labels
from dxtree.cohorts.nodes import (
    ACTINIC,
    BASAL,
    EPIDERMAL,
    INDETERMINATE,
    MELANOCYTIC,
    MELANOMA,
    NEVUS,
    SQUAMOUS,
)
from dxtree.cohorts.tables import Row
from dxtree.cohorts.terms import CAPITAL_SEXES, PAD_UFES_20_SITES, PatientColumns


def _lesion(row: Row) -> str:
    """Patient and lesion number together, as in the names of the image files."""
    return f"{row['patient_id']}_{row['lesion_id']}" if row["patient_id"] and row["lesion_id"] else ""


def _groups(row: Row) -> Mapping[str, str]:
    return {"fitzpatrick": row["fitspatrick"].removesuffix(".0")}


_CLASSES = {name: name for name in ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")} | {"": None}

PAD_UFES_20 = FlatSet(
    name="pad_ufes_20",
    title="PAD-UFES-20: smartphone photographs with patients, 6 classes",
    tables=("metadata.csv",),
    image="img_id",
    label="diagnostic",
    labels=Labels(
        {
            ISIC: {
                "ACK": ACTINIC,
                "BCC": BASAL,
                "MEL": MELANOMA,
                "NEV": NEVUS,
                # the set counts Bowen's disease, which is in situ, among these
                "SCC": SQUAMOUS,
                "SEK": f"{EPIDERMAL}:Seborrheic keratosis",
            }
        }
    ),
    modality="clinical",
    patient=PatientColumns("age", "gender", "region", sexes=CAPITAL_SEXES, sites=PAD_UFES_20_SITES),
    needed=("lesion_id", "fitspatrick"),
    person="patient_id",
    official_nodes={
        "ACK": (INDETERMINATE,),
        "BCC": (BASAL,),
        "MEL": (MELANOMA,),
        "NEV": (MELANOCYTIC,),
        "SCC": (SQUAMOUS,),
        "SEK": (EPIDERMAL,),
    },
    lesion=_lesion,
    official="diagnostic",
    classes=_CLASSES,
    groups=_groups,
)
"""2,298 photographs by the published description; the skin type is self-reported or the physician's."""
