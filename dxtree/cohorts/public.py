"""Which public data sets are known by name, and how do their official classes lie on the ISIC tree?"""

from __future__ import annotations

from dxtree.cohorts.isic import Layout

_EPIDERMAL = "Benign:Benign epidermal proliferations"
_FIBRO = "Benign:Benign soft tissue proliferations - Fibro-histiocytic"
_VASCULAR = "Benign:Benign soft tissue proliferations - Vascular"
_NEVUS = "Benign:Benign melanocytic proliferations"
_INDETERMINATE = "Indeterminate:Indeterminate epidermal proliferations"
_SQUAMOUS = "Malignant:Malignant epidermal proliferations"
_BASAL = "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma"
_MELANOMA = "Malignant:Malignant melanocytic proliferations (Melanoma)"

MILK10K = Layout(
    name="milk10k",
    official_column="milk_class",
    official_nodes={
        "AKIEC": (_INDETERMINATE, f"{_SQUAMOUS}:Squamous cell carcinoma in situ"),
        "BCC": (_BASAL,),
        "BEN_OTH": ("Benign",),
        "BKL": (_EPIDERMAL, "Benign:Flat melanotic pigmentations - not melanocytic nevus:Ink-spot lentigo"),
        "DF": (f"{_FIBRO}:Dermatofibroma",),
        "INF": ("Benign:Inflammatory or infectious diseases", f"{_EPIDERMAL}:Porokeratosis"),
        "MAL_OTH": ("Malignant",),
        "MEL": (_MELANOMA,),
        "NV": (_NEVUS,),
        "SCCKA": (_SQUAMOUS,),
        "VASC": (_VASCULAR,),
    },
    group_columns={"skin_tone": "skin_tone_class"},
)
"""MILK10k (ISIC Archive, 2025), 11 classes. Whole subtrees; the class of the nearest ancestor counts."""

HAM10000 = Layout(
    name="ham10000",
    official_nodes={
        "AKIEC": (_INDETERMINATE, _SQUAMOUS),
        "BCC": (_BASAL,),
        "BKL": (_EPIDERMAL,),
        "DF": (f"{_FIBRO}:Dermatofibroma",),
        "MEL": (_MELANOMA,),
        "NV": (_NEVUS,),
        "VASC": (_VASCULAR,),
    },
)
"""HAM10000 (Tschandl et al., Sci. Data 5:180161, 2018), 7 classes, as the ISIC archive labels it."""

ISIC = Layout(name="isic")
"""Any other folder in the archive's layout; it has no official classes of its own."""
