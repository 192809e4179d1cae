"""How does one modality get from a file to what its net sees, and where does practice material come from?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from modalities.stacks.stack import FloatArray, Stack

Pooling = Literal["mean", "attention"]


@dataclass(frozen=True)
class StackRecipe:
    """One modality of stacks; the functions of its package, by name.

    `read(source)`: bytes or path of a real file to a `Stack`; raises the `InputError` that fits a file at
    fault. `views(stack)`: what the net sees, float32 views x `channels` x `side` x `side`, about 0 and 1 in
    mean and spread, by the physics of the modality; one view at least, `most_views` at most, the same bits
    for the same stack. `pooling` joins the views' features. `draw(kind, rng)`: the bytes of one simulated
    file, in a real format, of a lesion of that kind. `kinds`: what is simulated, each with the ids of the
    nodes it stands for in the taxonomies it is drawn for, the first that the taxonomy has counts.
    `vary(views, rng)`: what might as well have been seen of a lesion, of the same shape, while a net learns;
    `None` where its views may be mirrored left to right, all alike, and nothing more is known.
    """

    name: str
    title: str
    read: Callable[[bytes | Path], Stack]
    views: Callable[[Stack], FloatArray]
    channels: int
    side: int
    most_views: int
    pooling: Pooling
    draw: Callable[[str, np.random.Generator], bytes]
    kinds: tuple[tuple[str, tuple[str, ...]], ...]
    vary: Callable[[FloatArray, np.random.Generator], FloatArray] | None = None
