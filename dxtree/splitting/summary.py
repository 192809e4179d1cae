"""What is a split in numbers: its links, its parts, and the share of each diagnosis held out?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.cohort import LabelledImage
from core.split import TRAINING, VALIDATION, Split, components
from core.taxonomy import Taxonomy
from dxtree.splitting.links import KINDS, Link


@dataclass(frozen=True)
class Size:
    """How much stands in one place; `judged` counts the images that results may count."""

    components: int
    lesions: int
    images: int
    judged: int


@dataclass(frozen=True)
class Summary:
    """Links by kind, the size of each part and fold, and by diagnosis the lesions and those held out."""

    links: dict[str, int]
    places: dict[str, Size]
    held_out: dict[str, tuple[int, int]]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "links": self.links,
            "places": {name: vars(size) for name, size in self.places.items()},
            "held_out": {
                node: {"lesions": total, VALIDATION: held} for node, (total, held) in self.held_out.items()
            },
            "notes": list(self.notes),
        }


def summarise(
    images: Sequence[LabelledImage], split: Split, links: Sequence[Link], taxonomy: Taxonomy, level: int = 1
) -> Summary:
    """Counts; diagnoses by their ancestors at `level` of the tree."""
    named = components(split.part, ((link.first, link.second) for link in links))
    members: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in images:
        part = split.part_of(image)
        members[part].append(image)
        if part == TRAINING:
            members[f"fold {split.fold[image.lesion]}"].append(image)
    kinds = Counter(link.kind for link in links)
    nodes = {i.lesion: taxonomy.ancestor_at(i.label, level) or i.label for i in images}
    total = Counter(nodes.values())
    held = Counter(node for lesion, node in nodes.items() if split.part[lesion] == VALIDATION)
    order = (TRAINING, *(f"fold {k}" for k in range(split.folds)), VALIDATION)
    return Summary(
        {kind: kinds[kind] for kind in KINDS},
        {place: _size(members[place], named, split) for place in order},
        {node: (total[node], held[node]) for node in sorted(total)},
        split.notes,
    )


def _size(images: Sequence[LabelledImage], named: dict[str, str], split: Split) -> Size:
    lesions = {i.lesion for i in images}
    return Size(len({named[x] for x in lesions}), len(lesions), len(images), len(split.kept(images)))
