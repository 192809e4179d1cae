"""How do multiphoton stacks become views, and where do simulated ones come from?"""

from modalities.multiphoton.preprocess import CHANNELS, MOST_VIEWS, SIDE, views
from modalities.multiphoton.reader import read
from modalities.multiphoton.simulate import CARCINOMA, MELANOMA, NEVUS, draw
from modalities.stacks.recipe import StackRecipe

RECIPE = StackRecipe(
    name="multiphoton",
    title="Multiphoton",
    read=read,
    views=views,
    channels=CHANNELS,
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="mean",
    draw=draw,
    kinds=(
        (
            MELANOMA,
            (
                "Malignant:Melanoma:Superficial spreading melanoma",
                "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma Invasive:"
                "Melanoma Invasive, Superficial spreading",
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
    ),
)
