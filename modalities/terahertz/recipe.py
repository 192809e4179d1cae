"""How do terahertz scans become views, and where do simulated ones come from?"""

from modalities.stacks import nodes
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
        (CARCINOMA, nodes.BASAL_CELL_CARCINOMA),
        (NEVUS, nodes.NEVUS),
        (KERATOSIS, nodes.SEBORRHEIC_KERATOSIS),
    ),
)
