"""Which public data sets are known by name, and how do their official classes lie on the ISIC tree?"""

from __future__ import annotations

from dxtree.cohorts.isic import Layout
from dxtree.cohorts.nodes import (
    BASAL,
    DERMATOFIBROMA,
    EIGHT_OFFICIAL,
    EPIDERMAL,
    INDETERMINATE,
    MELANOCYTIC,
    MELANOMA,
    SQUAMOUS,
    VASCULAR,
)

MILK10K = Layout(
    name="milk10k",
    official_column="milk_class",
    official_nodes={
        "AKIEC": (INDETERMINATE, f"{SQUAMOUS}:Squamous cell carcinoma in situ"),
        "BCC": (BASAL,),
        "BEN_OTH": ("Benign",),
        "BKL": (EPIDERMAL, "Benign:Flat melanotic pigmentations - not melanocytic nevus:Ink-spot lentigo"),
        "DF": (DERMATOFIBROMA,),
        "INF": ("Benign:Inflammatory or infectious diseases", f"{EPIDERMAL}:Porokeratosis"),
        "MAL_OTH": ("Malignant",),
        "MEL": (MELANOMA,),
        "NV": (MELANOCYTIC,),
        "SCCKA": (SQUAMOUS,),
        "VASC": (VASCULAR,),
    },
    group_columns={"skin_tone": "skin_tone_class"},
)
"""MILK10k (ISIC Archive, 2025), 11 classes. Whole subtrees; the class of the nearest ancestor counts."""

HAM10000 = Layout(
    name="ham10000",
    official_nodes={
        "AKIEC": (INDETERMINATE, SQUAMOUS),
        "BCC": (BASAL,),
        "BKL": (EPIDERMAL,),
        "DF": (DERMATOFIBROMA,),
        "MEL": (MELANOMA,),
        "NV": (MELANOCYTIC,),
        "VASC": (VASCULAR,),
    },
)
"""HAM10000 (Tschandl et al., Sci. Data 5:180161, 2018), 7 classes, as the ISIC archive labels it."""

BCN20000 = Layout(name="bcn20000", official_nodes=EIGHT_OFFICIAL)
"""BCN20000 (Hernández-Pérez et al., Sci. Data 11:641, 2024), 8 classes, as the ISIC archive labels it."""

ISIC = Layout(name="isic")
"""Any other folder in the archive's layout; it has no official classes of its own."""
