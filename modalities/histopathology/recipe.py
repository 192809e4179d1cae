"""How does `histopathology` get from a slide to its net, and what is simulated?"""

from __future__ import annotations

from modalities.histopathology.preprocess import CELL, CHANNELS, vary, views
from modalities.histopathology.reader import MOST_TILES, SIDE, read
from modalities.histopathology.simulate import draw
from modalities.stacks.recipe import StackRecipe

_ISIC = "Malignant:Malignant"
RECIPE = StackRecipe(
    name="histopathology",
    title="Histopathology",
    read=read,
    views=views,
    channels=len(CHANNELS),
    side=SIDE // CELL,
    most_views=MOST_TILES,
    pooling="attention",
    draw=draw,
    vary=vary,
    kinds=(
        (
            "nevus",
            ("Benign:Melanocytic nevus:Common nevus", "Benign:Benign melanocytic proliferations:Nevus"),
        ),
        (
            "melanoma",
            (
                "Malignant:Melanoma:Superficial spreading melanoma",
                f"{_ISIC} melanocytic proliferations (Melanoma)",
            ),
        ),
        (
            "basal cell carcinoma",
            (
                "Malignant:Carcinoma:Basal cell carcinoma",
                f"{_ISIC} adnexal epithelial proliferations - Follicular:Basal cell carcinoma",
            ),
        ),
        (
            "squamous cell carcinoma",
            (
                "Malignant:Carcinoma:Squamous cell carcinoma",
                f"{_ISIC} epidermal proliferations:Squamous cell carcinoma, Invasive",
            ),
        ),
    ),
)
