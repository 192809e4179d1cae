"""Which lesions must not be separated by a split, and why?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.cohort import LabelledImage
from dxtree.splitting.likeness import NEAR, near_pairs
from dxtree.splitting.look import Look

KINDS = ("patient", "image", "exact", "near")
"""One patient of a cohort; one image id; one file under two ids; one picture in two files."""


@dataclass(frozen=True)
class Link:
    """Two lesions that belong together, an image of each, and how many bits of their hashes differ."""

    first: str
    second: str
    kind: str
    images: tuple[str, str]
    distance: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def find_links(
    images: Sequence[LabelledImage], looks: Sequence[Look | None], *, distance: int = NEAR
) -> list[Link]:
    """Every link between lesions, sorted by kind and lesion; `looks` holds what `look` saw of each image.

    What n lesions share gives n - 1 links, all from the first of them. A blank picture links nothing, not
    even to a file with the same bytes: it can give no answer away, and a placeholder would link everything.
    """
    found = _shared("patient", ((i, i.person and (i.cohort, i.person)) for i in images))
    found += _shared("image", ((i, i.image) for i in images))
    telling = [(i, seen) for i, seen in zip(images, looks, strict=True) if seen and seen.hash]
    found += _shared("exact", ((i, seen.sha256) for i, seen in telling))
    hashed = {seen.sha256: (i, seen.hash) for i, seen in telling if seen.hash}
    pictures = [i for i, _ in hashed.values()]
    for one, other, bits in near_pairs([h for _, h in hashed.values()], distance):
        if pictures[one].lesion != pictures[other].lesion:
            found.append(_link("near", pictures[one], pictures[other], bits))
    return sorted(found, key=lambda link: (KINDS.index(link.kind), link.first, link.second, link.images))


def _shared(kind: str, marked: Iterable[tuple[LabelledImage, Hashable]]) -> list[Link]:
    """Links between the lesions that share a mark; an empty mark is none."""
    groups: dict[Hashable, dict[str, LabelledImage]] = defaultdict(dict)
    for image, mark in marked:
        if mark:
            groups[mark].setdefault(image.lesion, image)
    distance = 0 if kind == "exact" else None
    return [
        _link(kind, group[min(group)], group[lesion], distance)
        for group in groups.values()
        for lesion in sorted(group)[1:]
    ]


def _link(kind: str, one: LabelledImage, other: LabelledImage, distance: int | None) -> Link:
    a, b = sorted((one, other), key=lambda i: (i.lesion, i.image))
    return Link(a.lesion, b.lesion, kind, (a.image, b.image), distance)
