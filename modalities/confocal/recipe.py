"""How do confocal files become views, and where do simulated ones come from?"""

from modalities.confocal.lesions import CARCINOMA, KERATOSIS, MELANOMA, NEVUS
from modalities.confocal.preprocess import MOST_VIEWS, SIDE, views
from modalities.confocal.reader import read
from modalities.confocal.simulate import draw
from modalities.confocal.varying import vary
from modalities.stacks.recipe import StackRecipe

RECIPE = StackRecipe(
    name="confocal",
    title="Reflectance confocal microscopy",
    read=read,
    views=views,
    channels=1,
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="attention",
    draw=draw,
    vary=vary,
    kinds=(
        (
            MELANOMA,
            (
                "Malignant:Melanoma:Superficial spreading melanoma",
                "Malignant:Malignant melanocytic proliferations (Melanoma)",
            ),
        ),
        (
            NEVUS,
            ("Benign:Melanocytic nevus:Common nevus", "Benign:Benign melanocytic proliferations:Nevus"),
        ),
        (
            CARCINOMA,
            (
                "Malignant:Carcinoma:Basal cell carcinoma",
                "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma",
            ),
        ),
        (
            KERATOSIS,
            (
                "Benign:Benign epidermal:Seborrheic keratosis",
                "Benign:Benign epidermal proliferations:Seborrheic keratosis",
            ),
        ),
    ),
)
