"""Which parts of an image does the probability of a node hang on? Covered one by one, without gradients.

As in Zeiler and Fergus 2014: a patch of one colour is laid on each cell of a grid, and the net answers again.
The colour is the mean of what the net sees, which is less foreign to a picture of skin than grey. A cell that
matters moved this net's answer; it is no outline of a lesion and no proof.
"""

from __future__ import annotations

import numpy as np

from core.case import ImageInput
from core.contributions import FLOOR, check_node
from core.errors import ContractError
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import TreeSums
from modalities.cnn.attribution import OCCLUSION, Attribution
from modalities.cnn.deadline import Deadline
from modalities.cnn.model import CnnModel
from modalities.cnn.preprocess import ByteImage
from modalities.images import Square, SquareImage, decode

GRID = 9
"""Cells along a side: 81 answers of the net, each cell about a ninth of what it sees."""


def occlusion_of(
    model: CnnModel,
    image: ImageInput,
    sums: TreeSums,
    node: str,
    *,
    grid: int = GRID,
    deadline: Deadline | None = None,
) -> Attribution:
    """Covers each of `grid` x `grid` cells of what the net sees. Costs grid ** 2 + 1 answers of the net.

    Raises what `core.contributions.check_node` raises for the node, `InputError` for an image that cannot be
    read, `ContractError` for a grid of fewer than 2 cells or cells under 2 pixels, `ExplanationError` past
    the deadline.
    """
    check_node(node, sums)
    until = deadline or Deadline()
    seen = model.preprocessing.seen
    if not 2 <= grid <= seen.size // 2:
        raise ContractError(f"grid is {grid}; the net sees {seen.size} pixels, give 2 to {seen.size // 2}")
    picture = decode(image.source, target_side=seen.target_side)
    square = plain_square(model.preprocessing.read(image.source))

    def log_p(pixels: ByteImage) -> float:
        until.check()
        return float(np.log(max(_probability(model.probabilities(pixels), sums, node), FLOOR)))

    plain = log_p(square)
    mean = square.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    edges = np.linspace(0, seen.size, grid + 1).round().astype(int)
    drop = np.empty((grid, grid))
    for row in range(grid):
        for column in range(grid):
            covered = square.copy()
            covered[edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = mean
            drop[row, column] = plain - log_p(covered)
    height, width = picture.pixels.shape[:2]
    return Attribution(
        picture=picture.pixels,
        frame=frame_of(seen, width, height),
        values=drop,
        node=node,
        probability=float(np.exp(plain)),
        method=OCCLUSION,
        notes=picture.notes,
    )


def plain_square(square: SquareImage) -> ByteImage:
    """uint8 size x size x 3 of what the decoder gave."""
    return np.ascontiguousarray(square.padded[..., :3])


def frame_of(seen: Square, width: int, height: int) -> tuple[float, float, float, float]:
    """Left, top, right and bottom, in pixels of a picture of this size, of the square that a net sees."""
    scale = seen.resize / min(height, width)
    found = []
    for side in (width, height):
        new = max(seen.resize, round(side * scale))
        start = (new - seen.size) // 2
        found.append((start * side / new, (start + seen.size) * side / new))
    (left, right), (top, bottom) = found
    return left, top, right, bottom


def _probability(leaf: LeafProbabilities, sums: TreeSums, node: str) -> float:
    return TreeProbabilities(sums, leaf)[node]
