"""How do multiphoton stacks become views, and where do simulated ones come from?"""

from modalities.multiphoton.preprocess import CHANNELS, MOST_VIEWS, SIDE, views
from modalities.multiphoton.reader import read
from modalities.multiphoton.simulate import CARCINOMA, MELANOMA, NEVUS, draw
from modalities.stacks import nodes
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
        (MELANOMA, nodes.SPREADING_MELANOMA),
        (NEVUS, nodes.NEVUS),
        (CARCINOMA, nodes.BASAL_CELL_CARCINOMA),
    ),
)
