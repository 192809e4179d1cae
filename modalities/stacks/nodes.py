"""Which nodes of the shipped trees does a simulated lesion stand for?

Of each, the one in `synthetic` and the one in `isic_diagnosis`: what `StackRecipe.kinds` takes.
"""

from __future__ import annotations

_ISIC_MELANOMA = "Malignant:Malignant melanocytic proliferations (Melanoma)"
_ISIC_INVASIVE = f"{_ISIC_MELANOMA}:Melanoma Invasive"
_SPREADING = "Malignant:Melanoma:Superficial spreading melanoma"

MELANOMA = (_SPREADING, _ISIC_MELANOMA)
INVASIVE_MELANOMA = (_SPREADING, _ISIC_INVASIVE)
SPREADING_MELANOMA = (_SPREADING, f"{_ISIC_INVASIVE}:Melanoma Invasive, Superficial spreading")
NODULAR_MELANOMA = ("Malignant:Melanoma:Nodular melanoma", f"{_ISIC_INVASIVE}:Melanoma Invasive, Nodular")
BASAL_CELL_CARCINOMA = (
    "Malignant:Carcinoma:Basal cell carcinoma",
    "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma",
)
SQUAMOUS_CELL_CARCINOMA = (
    "Malignant:Carcinoma:Squamous cell carcinoma",
    "Malignant:Malignant epidermal proliferations:Squamous cell carcinoma, Invasive",
)
NEVUS = ("Benign:Melanocytic nevus:Common nevus", "Benign:Benign melanocytic proliferations:Nevus")
SEBORRHEIC_KERATOSIS = (
    "Benign:Benign epidermal:Seborrheic keratosis",
    "Benign:Benign epidermal proliferations:Seborrheic keratosis",
)
ANGIOMA = (
    "Benign:Benign vascular:Angioma",
    "Benign:Benign soft tissue proliferations - Vascular:Hemangioma",
)
