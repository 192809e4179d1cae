"""Which parts of an image does the probability of a node hang on? Covered one by one, without gradients.

As in Zeiler and Fergus 2014: a patch of one colour is laid on each cell of a grid, and the net answers again.
The colour is the mean of what the net sees, which is less foreign to a picture of skin than grey. A cell that
matters moved this net's answer; it is no outline of a lesion and no proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.case import ImageInput
from core.contributions import FLOOR, check_node
from core.errors import ContractError
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.tree import FloatArray, TreeSums
from modalities.cnn.model import CnnModel
from modalities.cnn.preprocess import ByteImage
from modalities.images import Square, decode, decode_square

GRID = 9
"""Cells along a side: 81 answers of the net, each cell about a ninth of what it sees."""


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What covering each part of one image does to a node.

    `picture`: uint8 H x W x 3, upright. `frame`: left, top, right and bottom in its pixels of what the net
    sees; nothing outside can matter. `drop`: float64 grid x grid over the frame, log P(node) less log P(node)
    with the cell covered, in natural logarithms: above 0 the cell speaks for the node, below 0 against it.
    `probability`: P(node) by this net from this image alone, before fusion.
    """

    picture: ByteImage
    frame: tuple[float, float, float, float]
    drop: FloatArray
    node: str
    probability: float


def occlusion_of(
    model: CnnModel, image: ImageInput, sums: TreeSums, node: str, *, grid: int = GRID
) -> Occlusion:
    """Covers each of `grid` x `grid` cells of what the net sees. Costs grid ** 2 + 1 answers of the net.

    Raises what `core.contributions.check_node` raises for the node, `InputError` for an image that cannot be
    read, `ContractError` for a grid of fewer than 2 cells or cells under 2 pixels.
    """
    check_node(node, sums)
    seen = model.preprocessing.seen
    if not 2 <= grid <= seen.size // 2:
        raise ContractError(f"grid is {grid}; the net sees {seen.size} pixels, give 2 to {seen.size // 2}")
    picture = decode(image.source, target_side=seen.target_side).pixels
    square = np.ascontiguousarray(decode_square(image.source, seen).padded[..., :3])

    def log_p(pixels: ByteImage) -> float:
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
    height, width = picture.shape[:2]
    return Occlusion(picture, frame_of(seen, width, height), drop, node, float(np.exp(plain)))


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
