"""DDI, Diverse Dermatology Images: which biopsy-proven diagnoses on which skin tones does it hold?

Daneshjou et al., Science Advances 8:eabq6147 (2022).
"""

from __future__ import annotations

from collections.abc import Mapping

from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.labels import ISIC, Labels, shipped_nodes
from dxtree.cohorts.nodes import BINARY_OFFICIAL
from dxtree.cohorts.tables import Row

_REED = "Indeterminate:Indeterminate melanocytic proliferations:Atypical pigmented spindle cell tumor"
_MALIGNANT: Mapping[str, str | None] = {
    "TRUE": "malignant", "True": "malignant", "FALSE": "benign", "False": "benign", "": None,
}  # fmt: skip


def _groups(row: Row) -> Mapping[str, str]:
    return {"skin_tone": row["skin_tone"]}


DDI = FlatSet(
    name="ddi",
    title="DDI: biopsy-proven clinical photographs in three groups of skin tone",
    tables=("ddi_metadata.csv",),
    image="DDI_file",
    label="disease",
    labels=Labels({ISIC: shipped_nodes("ddi")}),
    modality="clinical",
    needed=("skin_tone",),
    # the set counts the atypical spindle cell nevus of Reed as malignant
    official_nodes={**BINARY_OFFICIAL, "malignant": (*BINARY_OFFICIAL["malignant"], _REED)},
    prefix="DDI_",
    official="malignant",
    classes=_MALIGNANT,
    groups=_groups,
)
"""656 photographs of 78 diagnoses. `skin_tone` 12 is Fitzpatrick type I or II, 34 III or IV, 56 V or VI."""
