"""How does `dermoscopy_sequence` get from file to net, and what is simulated of it?"""

from __future__ import annotations

from pathlib import Path

from modalities.dermoscopy_sequence.preprocess import CHANNELS, MOST_VIEWS, SIDE, vary, views
from modalities.dermoscopy_sequence.simulate import draw
from modalities.images.limits import MIB, Limits
from modalities.stacks import nodes
from modalities.stacks.reading import read_in_child
from modalities.stacks.recipe import StackRecipe
from modalities.stacks.stack import Stack

LIMITS = Limits(max_bytes=256 * MIB, max_pixels=128_000_000, seconds=30.0, memory_bytes=3072 * MIB)
"""`max_pixels` counts numbers, dates x height x width x 3."""


def read(source: bytes | Path) -> Stack:
    """The dates of a file; see `modalities.dermoscopy_sequence.parse`."""
    return read_in_child("modalities.dermoscopy_sequence.parse", source, LIMITS)


RECIPE = StackRecipe(
    name="dermoscopy_sequence",
    title="Sequential dermoscopy",
    read=read,
    views=views,
    channels=len(CHANNELS),
    side=SIDE,
    most_views=MOST_VIEWS,
    pooling="mean",
    draw=draw,
    vary=vary,
    kinds=(
        ("nevus", nodes.NEVUS),
        ("melanoma", nodes.MELANOMA),
        ("seborrheic keratosis", nodes.SEBORRHEIC_KERATOSIS),
    ),
)
