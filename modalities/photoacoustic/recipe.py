"""How do photoacoustic files become views, and where do simulated ones come from?"""

from modalities.photoacoustic.preprocess import CHANNELS, MOST_VIEWS, SIDE, views
from modalities.photoacoustic.reader import read
from modalities.photoacoustic.simulate import ANGIOMA, MELANOMA, NEVUS, draw
from modalities.stacks import nodes
from modalities.stacks.recipe import StackRecipe

RECIPE = StackRecipe(
    name="photoacoustic",
    title="Photoacoustic",
    read=read,
    views=views,
    channels=CHANNELS,
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="mean",
    draw=draw,
    kinds=(
        (MELANOMA, nodes.NODULAR_MELANOMA),
        (NEVUS, nodes.NEVUS),
        (ANGIOMA, nodes.ANGIOMA),
    ),
)
