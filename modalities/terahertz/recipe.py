"""How do terahertz scans become views, and where do simulated ones come from?"""

from modalities.stacks.recipe import StackRecipe
from modalities.terahertz.preprocess import CHANNELS, MOST_VIEWS, SIDE, views
from modalities.terahertz.reader import read
from modalities.terahertz.simulate import CARCINOMA, KERATOSIS, NEVUS, draw

RECIPE = StackRecipe(
    name="terahertz",
    title="Terahertz",
    read=read,
    views=views,
    channels=CHANNELS,
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="mean",
    draw=draw,
    kinds=(
        (
            CARCINOMA,
            (
                "Malignant:Carcinoma:Basal cell carcinoma",
                "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma",
            ),
        ),
        (
            NEVUS,
            ("Benign:Melanocytic nevus:Common nevus", "Benign:Benign melanocytic proliferations:Nevus"),
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
