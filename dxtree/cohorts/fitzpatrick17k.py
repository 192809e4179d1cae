"""Fitzpatrick17k: how do two atlases' photographs lie on either tree, and with which skin types?

Groh et al., CVPR workshops (2021), arXiv 2104.09957.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.labels import ISIC, Labels, shipped_nodes
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import Row

ESTEVA = "esteva_2017"
"""The tree of Esteva et al. 2017, whose nine groups those of this set follow."""

NINE: Mapping[str, str] = {
    "benign dermal": "benign:dermal tumours, cysts, sinuses",
    "benign epidermal": "benign:epidermal tumours, hamartomas, milia, growths",
    "benign melanocyte": "benign:melanocytic",
    "malignant cutaneous lymphoma": "malignant:cutaneous lymphoma and lymphoid infiltrates",
    "malignant dermal": "malignant:dermal",
    "malignant epidermal": "malignant:epidermal, malignant and premalignant",
    "malignant melanoma": "malignant:melanocytic",
    "genodermatoses": "non-neoplastic:genodermatoses and supernumerary growths",
    "inflammatory": "non-neoplastic:inflammatory",
}
"""`nine_partition_label` and the node of `esteva_2017` that it means."""

_GROUP = "nine_partition_label"
_WRONG = "3 Wrongly labelled"


def _groups(row: Row) -> Mapping[str, str]:
    scale = row["fitzpatrick_scale"]
    return {"fitzpatrick": "" if scale == "-1" else scale}


def _unused(row: Row) -> str:
    return "wrongly labelled by the set's own quality control" if row.get("qc") == _WRONG else ""


FITZPATRICK17K = FlatSet(
    name="fitzpatrick17k",
    title="Fitzpatrick17k: clinical photographs of 114 conditions with skin types",
    tables=("fitzpatrick17k.csv",),
    image="md5hash",
    label="label",
    labels=Labels({ISIC: shipped_nodes("fitzpatrick17k")}),
    modality="clinical",
    needed=("fitzpatrick_scale",),
    groups=_groups,
    unused=_unused,
)
"""16,577 photographs by the published description, on the ISIC tree. It names no lesions and no patients."""

FITZPATRICK17K_ESTEVA = replace(
    FITZPATRICK17K,
    name="fitzpatrick17k_esteva",
    title="Fitzpatrick17k on the tree of Esteva et al. 2017: 9 groups of clinical photographs",
    label=_GROUP,
    labels=Labels({ESTEVA: NINE}),
    official_nodes={name: (node,) for name, node in NINE.items()},
    malignant="malignant",
    official=_GROUP,
    classes={name: name for name in NINE},
)
"""The same folder by the set's own nine groups, which are nodes of `esteva_2017`."""


def survey_fitzpatrick17k(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads the folder by its nine groups for `esteva_2017`, and by its 114 conditions for any other tree.

    Raises `CohortError` naming file, line and column for whatever cannot be read.
    """
    if taxonomy.name == ESTEVA:
        return replace(FITZPATRICK17K_ESTEVA, name=FITZPATRICK17K.name).survey(folder, taxonomy)
    return FITZPATRICK17K.survey(folder, taxonomy)
