"""Which nodes of the ISIC tree do the classes of public data sets mean?"""

from __future__ import annotations

from collections.abc import Mapping

EPIDERMAL = "Benign:Benign epidermal proliferations"
FIBRO = "Benign:Benign soft tissue proliferations - Fibro-histiocytic"
DERMATOFIBROMA = f"{FIBRO}:Dermatofibroma"
VASCULAR = "Benign:Benign soft tissue proliferations - Vascular"
MELANOCYTIC = "Benign:Benign melanocytic proliferations"
NEVUS = f"{MELANOCYTIC}:Nevus"
FLAT = "Benign:Flat melanotic pigmentations - not melanocytic nevus"
INFLAMMATORY = "Benign:Inflammatory or infectious diseases"
INDETERMINATE = "Indeterminate:Indeterminate epidermal proliferations"
ACTINIC = f"{INDETERMINATE}:Solar or actinic keratosis"
SQUAMOUS = "Malignant:Malignant epidermal proliferations"
BASAL = "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma"
MELANOMA = "Malignant:Malignant melanocytic proliferations (Melanoma)"

EIGHT_LABELS: Mapping[str, str | None] = {
    "MEL": MELANOMA,
    "NV": NEVUS,
    "BCC": BASAL,
    "AK": ACTINIC,
    "BKL": EPIDERMAL,
    "DF": DERMATOFIBROMA,
    "VASC": VASCULAR,
    "SCC": SQUAMOUS,
}
"""The classes of ISIC 2019 and BCN20000 as labels. BKL holds solar lentigo, seborrheic and lichen planus like
keratosis, and SCC may be in situ or invasive: each is labelled with the node above all that it holds."""

EIGHT_OFFICIAL: Mapping[str, tuple[str, ...]] = {
    "MEL": (MELANOMA,),
    "NV": (MELANOCYTIC,),
    "BCC": (BASAL,),
    "AK": (INDETERMINATE,),
    "BKL": (EPIDERMAL,),
    "DF": (DERMATOFIBROMA,),
    "VASC": (VASCULAR,),
    "SCC": (SQUAMOUS,),
}
"""The same eight as official classes: whole subtrees, the nearest ancestor counts."""

BINARY_OFFICIAL: Mapping[str, tuple[str, ...]] = {
    "malignant": ("Malignant",),
    "benign": ("Benign", "Indeterminate"),
}
"""The two classes of sets that tell benign from malignant; what is neither counts as benign there."""
