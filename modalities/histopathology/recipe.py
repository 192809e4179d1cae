"""How does `histopathology` get from a slide to its net, and what is simulated?"""

from __future__ import annotations

from modalities.histopathology.preprocess import CELL, CHANNELS, vary, views
from modalities.histopathology.reader import MOST_TILES, SIDE, read
from modalities.histopathology.simulate import draw
from modalities.stacks import nodes
from modalities.stacks.recipe import StackRecipe

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
        ("nevus", nodes.NEVUS),
        ("melanoma", nodes.MELANOMA),
        ("basal cell carcinoma", nodes.BASAL_CELL_CARCINOMA),
        ("squamous cell carcinoma", nodes.SQUAMOUS_CELL_CARCINOMA),
    ),
)
