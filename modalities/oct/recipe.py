"""How does optical coherence tomography get from file to net, and what is simulated of it?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modalities.oct.preprocess import MOST_VIEWS, NEIGHBOURS, SIDE, views
from modalities.oct.simulate import draw
from modalities.stacks import nodes
from modalities.stacks.limits import LIMITS
from modalities.stacks.reading import read_in_child
from modalities.stacks.recipe import StackRecipe
from modalities.stacks.stack import Stack

NAME = "oct"
VOLUME_LIMITS = replace(LIMITS, max_pixels=100_000_000, memory_bytes=4096 * 1024**2, seconds=60.0)
"""A volume of 120 B-scans of 460 x 1342 pixels is read."""


def read(source: bytes | Path) -> Stack:
    """The volume of a file; see `modalities.oct.parse`."""
    return read_in_child("modalities.oct.parse", source, VOLUME_LIMITS)


RECIPE = StackRecipe(
    name=NAME,
    title="Optical coherence tomography",
    read=read,
    views=views,
    channels=NEIGHBOURS,
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="attention",
    draw=draw,
    kinds=(
        ("melanoma", nodes.INVASIVE_MELANOMA),
        ("basal cell carcinoma", nodes.BASAL_CELL_CARCINOMA),
        ("nevus", nodes.NEVUS),
        ("seborrheic keratosis", nodes.SEBORRHEIC_KERATOSIS),
    ),
)
