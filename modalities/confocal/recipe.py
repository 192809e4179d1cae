"""How do confocal files become views, and where do simulated ones come from?"""

from modalities.confocal.lesions import CARCINOMA, KERATOSIS, MELANOMA, NEVUS
from modalities.confocal.preprocess import MOST_VIEWS, SIDE, views
from modalities.confocal.reader import read
from modalities.confocal.simulate import draw
from modalities.confocal.varying import vary
from modalities.stacks import nodes
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
        (MELANOMA, nodes.MELANOMA),
        (NEVUS, nodes.NEVUS),
        (CARCINOMA, nodes.BASAL_CELL_CARCINOMA),
        (KERATOSIS, nodes.SEBORRHEIC_KERATOSIS),
    ),
)
