"""Into which training classes does a tree fall, given how many images each node has?

The disease-partitioning algorithm PA of Esteva et al., Nature 542:115 (2017), Extended Data Table 1. A
*training class* is a cell of the partition: a whole subtree, or the *residual* of a split node, which is
the images labelled at that very node. It need not be a leaf of the taxonomy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from core.errors import PartitionError, did_you_mean
from core.taxonomy import IntArray, Taxonomy

Preset = Literal["reference", "published", "coarse_labels"]
"""`published`: as printed. A node is kept whole where images < max_size; otherwise its own images are
dropped and its children are tried, so that a leaf with max_size images or more is dropped whole.
`reference`: a node is kept whole where images <= max_size; a split node's own images become a residual
class and an oversize leaf stays a class, so that nothing is lost and the maximum is not a hard one.
`coarse_labels`: as reference without residuals. A split node's own images belong to no class; they are coarse
labels, which a loss over the tree learns from and others must leave out."""


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

    preset: str
    """One of the presets, or ``level N`` of `partition_at_level`."""
    max_size: int
    total_images: int
    lost_images: int
    lost: Mapping[str, int]
    """Images dropped, by the node they are labelled at or the leaf that is dropped whole."""
    oversize: Mapping[str, int]
    """Training classes that hold more images than `max_size`."""
    coarse: Mapping[str, int] = field(default_factory=dict)
    """Images labelled at a split node that is no class of its own, by node; preset coarse_labels alone."""


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
            report = PartitionReport(**{name: raw[name] for name in names}, coarse=raw.get("coarse", {}))
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
            **{k: v for k, v in asdict(self.report).items() if k != "coarse" or v},
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
            f"preset {preset!r} is unknown; there are {', '.join(get_args(Preset))}"
            f"{did_you_mean(str(preset), get_args(Preset))}"
        )
    if isinstance(max_size, bool) or not isinstance(max_size, int) or max_size < 1:
        raise PartitionError(f"max_size is {max_size!r}; a whole number >= 1 is needed")
    own, total = _counted(taxonomy, counts)
    # Totals never grow on the way down, so a node is reached by the algorithm exactly where every node
    # above it is split, that is where its parent is oversize.
    split = total >= max_size if preset == "published" else total > max_size
    return _cut(taxonomy, own, total, split, preset, max_size)


def partition_at_level(taxonomy: Taxonomy, counts: Mapping[str, int] | IntArray, level: int) -> Partition:
    """The nodes of one level as training classes, as a net on coarse labels is trained; level 1 is the first.

    A leaf above the level is a class as well, and images labelled above it become residual classes, so that
    nothing is lost. A level at or below the deepest gives every labelled node a class of its own. Raises
    `PartitionError` for a level below 1 and what `partition_tree` raises for counts.
    """
    if isinstance(level, bool) or not isinstance(level, int) or level < 1:
        raise PartitionError(f"level is {level!r}; a whole number >= 1 is needed")
    own, total = _counted(taxonomy, counts)
    split = (taxonomy.depth < level) & (total > 0)
    return _cut(taxonomy, own, total, split, f"level {level}", max(1, int(total[0])))


def _counted(taxonomy: Taxonomy, counts: Mapping[str, int] | IntArray) -> tuple[IntArray, IntArray]:
    """Images at each node, and at or below it."""
    own = _own_counts(taxonomy, counts)
    cumulated = np.concatenate([[0], np.cumsum(own)])
    return own, cumulated[taxonomy.end] - cumulated[:-1]


def _cut(
    taxonomy: Taxonomy,
    own: IntArray,
    total: IntArray,
    split: npt.NDArray[np.bool_],
    preset: str,
    max_size: int,
) -> Partition:
    """Classes, losses and untrained nodes where `split` says which nodes are too large to be one class."""
    reached = np.ones(len(taxonomy), bool)
    reached[1:] = split[taxonomy.parent[1:]]
    leaf = taxonomy.end == np.arange(1, len(taxonomy) + 1)
    inner = reached & split & (own > 0) & ~leaf
    whole = reached & ~split & (total > 0)
    kept_leaf = reached & split & leaf
    nowhere = np.zeros(len(taxonomy), bool)
    lost, coarse, residual = nowhere, nowhere, inner
    if preset == "published":
        lost, residual = inner | kept_leaf, nowhere
        kept_leaf = nowhere
    elif preset == "coarse_labels":
        # Where nothing below has an image, the node itself is the only class that there can be.
        residual, coarse, whole = nowhere, inner & (total > own), whole | (inner & (total == own))
    images = np.where(inner, own, total)
    classes = tuple(
        TrainingClass(taxonomy.ids[i], bool(residual[i]), int(images[i]))
        for i in np.flatnonzero(whole | residual | kept_leaf).tolist()
    )

    def at(nodes: npt.NDArray[np.bool_]) -> dict[str, int]:
        return {taxonomy.ids[i]: int(images[i]) for i in np.flatnonzero(nodes).tolist()}

    report = PartitionReport(
        preset=preset,
        max_size=max_size,
        total_images=int(total[0]),
        lost_images=sum(at(lost).values()),
        lost=at(lost),
        oversize={c.id: c.images for c in classes if c.images > max_size},
        coarse=at(coarse),
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
