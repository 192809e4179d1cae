"""How does high-frequency ultrasound get from file to net, and what is simulated of it?"""

from __future__ import annotations

from pathlib import Path

from modalities.stacks import nodes
from modalities.stacks.reading import read_in_child
from modalities.stacks.recipe import StackRecipe
from modalities.stacks.stack import Stack
from modalities.ultrasound.preprocess import MOST_VIEWS, SIDE, views
from modalities.ultrasound.simulate import draw

NAME = "ultrasound"


def read(source: bytes | Path) -> Stack:
    """The B-mode pictures of a file; see `modalities.ultrasound.parse`."""
    return read_in_child("modalities.ultrasound.parse", source)


RECIPE = StackRecipe(
    name=NAME,
    title="High-frequency ultrasound, B-mode",
    read=read,
    views=views,
    channels=2,
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="mean",
    draw=draw,
    kinds=(
        ("melanoma", nodes.INVASIVE_MELANOMA),
        ("basal cell carcinoma", nodes.BASAL_CELL_CARCINOMA),
        ("seborrheic keratosis", nodes.SEBORRHEIC_KERATOSIS),
        ("angioma", nodes.ANGIOMA),
    ),
)
