"""Into which training classes does a tree fall, given how many images each node has?

The disease-partitioning algorithm PA of Esteva et al., Nature 542:115 (2017), Extended Data Table 1. A
*training class* is a cell of the partition: a whole subtree, or the *residual* of a split node, which is
the images labelled at that very node. It need not be a leaf of the taxonomy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np

from core.errors import PartitionError, did_you_mean
from core.taxonomy import IntArray, Taxonomy

Preset = Literal["reference", "published"]
"""`published`: as printed. A node is kept whole where images < max_size; otherwise its own images are
dropped and its children are tried, so that a leaf with max_size images or more is dropped whole.
`reference`: a node is kept whole where images <= max_size; a split node's own images become a residual
class and an oversize leaf stays a class, so that nothing is lost and the maximum is not a hard one."""


@dataclass(frozen=True)
class TrainingClass:
    """One cell of the partition, named by its node. `images` counts the training part only."""

    node: str
    residual: bool
    images: int

    @property
    def id(self) -> str:
        """Unique name within the partition: the node's id, with ``~`` behind it for a residual."""
        return self.node + RESIDUAL_MARK if self.residual else self.node


RESIDUAL_MARK = "~"


@dataclass(frozen=True)
class PartitionReport:
    """What a partition lost or kept against its own maximum. Every number counts images or names nodes."""

    preset: Preset
    max_size: int
    total_images: int
    lost_images: int
    lost: Mapping[str, int]
    """Images dropped, by the node they are labelled at or the leaf that is dropped whole."""
    oversize: Mapping[str, int]
    """Training classes that hold more images than `max_size`."""


@dataclass(frozen=True)
class Partition:
    """Training classes of a taxonomy, in depth-first order, with a report and the untrained nodes.

    `untrained` names the topmost nodes without any image, inside a class or not: they are never trained on.
    """

    taxonomy: Taxonomy
    classes: tuple[TrainingClass, ...]
    report: PartitionReport
    untrained: tuple[str, ...]

    def __post_init__(self) -> None:
        # A node may be called like the residual of another one: two classes of one name are an error.
        if len(set(self.ids)) != len(self.ids):
            twice = next(c.id for c in self.classes if c.residual and self.ids.count(c.id) > 1)
            raise PartitionError(
                f"the residual of a split node and another node are both called {twice!r}; rename the node"
            )

    def __repr__(self) -> str:
        return f"Partition({self.taxonomy.name!r}, {len(self.classes)} classes, {self.report.preset})"

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """Ids of the classes, in order."""
        return tuple(c.id for c in self.classes)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over the taxonomy's fingerprint and the classes in order."""
        text = json.dumps([self.taxonomy.fingerprint, self.ids], ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _by_start(self) -> dict[int, int]:
        return {self.taxonomy.position(c.node): i for i, c in enumerate(self.classes)}

    @cached_property
    def _residuals(self) -> frozenset[int]:
        return frozenset(self.taxonomy.position(c.node) for c in self.classes if c.residual)

    def class_of(self, node: str) -> str | None:
        """Id of the training class that an image labelled at `node` belongs to; `None` where it is lost.

        Raises `UnknownNode` for a node outside the taxonomy.
        """
        at = self.taxonomy.position(node)
        here = at
        while here >= 0:
            index = self._by_start.get(here)
            if index is not None and (here == at or here not in self._residuals):
                return self.classes[index].id
            if index is not None:
                return None
            here = int(self.taxonomy.parent[here])
        return None

    @classmethod
    def from_dict(cls, taxonomy: Taxonomy, raw: Mapping[str, Any]) -> Partition:
        """What `to_dict` gave, beside its taxonomy. Raises `PartitionError` where it cannot be read."""
        try:
            classes = tuple(
                TrainingClass(c["node"], bool(c["residual"]), int(c["images"])) for c in raw["classes"]
            )
            names = ("preset", "max_size", "total_images", "lost_images", "lost", "oversize")
            report = PartitionReport(**{name: raw[name] for name in names})
            starts = taxonomy.positions(c.node for c in classes)
            untrained = tuple(raw["untrained"])
        except (KeyError, TypeError, ValueError) as error:
            raise PartitionError(f"a partition cannot be read ({type(error).__name__}: {error})") from error
        if not classes or (np.diff(starts) <= 0).any():
            raise PartitionError("training classes stand in depth-first order, each node once")
        return cls(taxonomy, classes, report, untrained)

    def to_dict(self) -> dict[str, object]:
        """JSON-ready; `Partition.from_dict` reads it back beside the taxonomy."""
        return {
            "taxonomy": self.taxonomy.name,
            "fingerprint": self.fingerprint,
            **asdict(self.report),
            "classes": [{"id": c.id, **asdict(c)} for c in self.classes],
            "untrained": list(self.untrained),
        }


def partition_tree(
    taxonomy: Taxonomy,
    counts: Mapping[str, int] | IntArray,
    *,
    max_size: int,
    preset: Preset = "reference",
) -> Partition:
    """Cuts the tree into training classes. Linear in the number of nodes; nothing recurses.

    `counts` maps a node id to the images *labelled at* that node, in the training part only; a node
    that is absent has none. An integer array in the order of `taxonomy.ids` does as well.
    `max_size` is the largest number of images a class should hold (>= 1).

    Raises `PartitionError` for another preset, a maximum below 1, a negative or fractional count, more
    than 2**62 images;
    `UnknownNode` for a count at a node that does not exist.
    """
    if preset not in get_args(Preset):
        raise PartitionError(
            f"preset {preset!r} is unknown; there are reference and published"
            f"{did_you_mean(str(preset), get_args(Preset))}"
        )
    if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 1:
        raise PartitionError(f"max_size is {max_size!r}; a whole number >= 1 is needed")
    own = _own_counts(taxonomy, counts)
    cumulated = np.concatenate([[0], np.cumsum(own)])
    total = cumulated[taxonomy.end] - cumulated[:-1]
    # Totals never grow on the way down, so a node is reached by the algorithm exactly where every node
    # above it is split, that is where its parent is oversize.
    split = total >= max_size if preset == "published" else total > max_size
    reached = np.ones(len(taxonomy), bool)
    reached[1:] = split[taxonomy.parent[1:]]
    whole = reached & ~split
    leaf = taxonomy.end == np.arange(1, len(taxonomy) + 1)
    residual = split & (own > 0) & ~leaf
    kept_leaf = split & leaf
    if preset == "published":
        lost, emitted = residual | kept_leaf, whole & (total > 0)
    else:
        lost, emitted = np.zeros(len(taxonomy), bool), (whole & (total > 0)) | residual | kept_leaf
    images = np.where(residual, own, total)
    classes = tuple(
        TrainingClass(taxonomy.ids[i], bool(residual[i]), int(images[i]))
        for i in np.flatnonzero(emitted).tolist()
    )
    dropped = {taxonomy.ids[i]: int(images[i]) for i in np.flatnonzero(lost).tolist()}
    report = PartitionReport(
        preset=preset,
        max_size=max_size,
        total_images=int(cumulated[-1]),
        lost_images=sum(dropped.values()),
        lost=dropped,
        oversize={c.id: c.images for c in classes if c.images > max_size},
    )
    empty = total == 0
    empty[1:] &= total[taxonomy.parent[1:]] > 0
    return Partition(
        taxonomy, classes, report, tuple(taxonomy.ids[i] for i in np.flatnonzero(empty).tolist())
    )


def _own_counts(taxonomy: Taxonomy, counts: Mapping[str, int] | IntArray) -> IntArray:
    if isinstance(counts, np.ndarray):
        if counts.shape != (len(taxonomy),) or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise PartitionError("an array of counts holds one whole number >= 0 a node, in preorder")
        _check_total(float(counts.sum(dtype=np.float64)))
        return counts.astype(np.int64)
    for node, images in counts.items():
        if type(images) is not int or images < 0:
            raise PartitionError(f"{images!r} images at {node!r}; a whole number >= 0 is needed")
    _check_total(sum(counts.values()))
    own = np.zeros(len(taxonomy), np.int64)
    own[taxonomy.positions(counts)] = np.fromiter(counts.values(), np.int64, len(counts))
    return own


def _check_total(images: float) -> None:
    if images > 2**62:
        raise PartitionError("more than 2**62 images in all; sums of int64 would overflow")
