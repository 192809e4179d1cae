"""Which simulated lesions are drawn for a tree, and what is each of?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import TrainingError
from core.partition import Partition
from modalities.stacks.recipe import StackRecipe

MAGIC = (
    (0, b"II*\0", ".tif"),
    (0, b"MM\0*", ".tif"),
    (0, b"II+\0", ".tif"),
    (128, b"DICM", ".dcm"),
    (0, b"\x89HDF\r\n\x1a\n", ".h5"),
    (0, b"\x89PNG\r\n\x1a\n", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"PK\x03\x04", ".zip"),
    (0, b"\x1f\x8b", ".nii.gz"),
    (344, b"n+1\0", ".nii"),
    (0, b"NRRD", ".nrrd"),
    (0, b"{", ".json"),
)
"""Place, bytes and ending of the formats that simulators write."""


@dataclass(frozen=True)
class Drawn:
    """One simulated file and its truth: the name of what was drawn, and the training class it is of."""

    data: bytes
    kind: str
    owner: str


def classes_of(recipe: StackRecipe, partition: Partition) -> dict[str, tuple[str, ...]]:
    """Training class to the kinds that are drawn for it, classes in the partition's order.

    Raises `TrainingError` where a kind has no node in the tree or no class, or all are of one class.
    """
    found: dict[str, list[str]] = {}
    for kind, nodes in recipe.kinds:
        node = next((n for n in nodes if n in partition.taxonomy), None)
        if node is None:
            raise TrainingError(
                f"{recipe.name}: {kind} stands for none of the nodes of taxonomy "
                f"{partition.taxonomy.name!r}; give a model set of another tree, such as demonstration"
            )
        owner = partition.class_of(node)
        if owner is None:
            raise TrainingError(f"{recipe.name}: {kind}, {node!r}, lies in no training class")
        found.setdefault(owner, []).append(kind)
    if len(found) < 2:
        raise TrainingError(f"{recipe.name}: what is simulated is of one training class; two are needed")
    return {owner: tuple(found[owner]) for owner in partition.ids if owner in found}


def draw_lesions(
    recipe: StackRecipe, classes: dict[str, tuple[str, ...]], number: int, seed: int, part: int = 0
) -> Iterator[Drawn]:
    """So many lesions, classes in turn and kinds in turn within a class.

    A lesion is decided by seed, part and its place, so lesions of two parts differ.
    """
    owners = list(classes)
    for k in range(number):
        owner = owners[k % len(owners)]
        kind = classes[owner][k // len(owners) % len(classes[owner])]
        yield Drawn(recipe.draw(kind, np.random.default_rng([seed, part, k])), kind, owner)


def ending_of(data: bytes) -> str:
    """The ending of the name of a simulated file, `.bin` where its format is not listed."""
    return next((end for at, magic, end in MAGIC if data[at : at + len(magic)] == magic), ".bin")
