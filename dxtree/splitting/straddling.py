"""Who stands on both sides of a split?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from core.cohort import LabelledImage
from core.errors import LeakageError
from dxtree.splitting.given import Places
from dxtree.splitting.links import Link

LESION = "lesion"


@dataclass(frozen=True)
class Straddle:
    """Lesions that a split separates though they belong together, or one lesion that it cuts (`kind` lesion).

    `distance` is the number of bits in which the hashes of the two images differ.
    """

    kind: str
    lesions: tuple[str, ...]
    images: tuple[str, ...]
    places: tuple[str, ...]
    distance: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def straddling(images: Sequence[LabelledImage], places: Places, links: Sequence[Link]) -> list[Straddle]:
    """Every lesion with images in several places, then every link between images in different places.

    A component without any such link lies in one place as a whole.
    """
    of_lesion: dict[str, set[str]] = defaultdict(set)
    of_image: dict[str, set[str]] = defaultdict(set)
    members: dict[str, set[str]] = defaultdict(set)
    for image, found in zip(images, places, strict=True):
        of_lesion[image.lesion] |= found
        of_image[image.image] |= found
        members[image.lesion].add(image.image)
    cut = [
        Straddle(LESION, (lesion,), tuple(sorted(members[lesion])), tuple(sorted(found)))
        for lesion, found in sorted(of_lesion.items())
        if len(found) > 1
    ]
    for link in links:
        first, second = (of_image[i] for i in link.images)
        if first != second or len(first) > 1:
            apart = tuple(sorted(first | second))
            cut.append(Straddle(link.kind, (link.first, link.second), link.images, apart, link.distance))
    return cut


def refuse(found: Sequence[Straddle]) -> None:
    """Raises `LeakageError`, which counts them and names the first, where there are any."""
    if found:
        lesions = {lesion for straddle in found for lesion in straddle.lesions}
        raise LeakageError(
            f"the split leaks: {len(found)} ties between images are cut, {len(lesions)} lesions, "
            f"{' and '.join(found[0].lesions)} for one ({found[0].kind}); make one with `dxtree split --out`"
        )
