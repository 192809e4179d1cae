"""What does a folder hold, and what of it could not be used?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.cohort import LabelledImage


@dataclass(frozen=True)
class CohortSurvey:
    """The images of a folder that have a place in the tree, and a count of everything else.

    `unmapped` maps each label of the set for which the tree has no node to the number of images that carry
    it: they are left out, and nothing else is left out but what `left_out` counts by reason. `sites` maps
    each word for a site that the vocabulary of sites has no node for to the number of images that are kept
    with the site not known. `alone` counts the images without a lesion id, each of which stands for a lesion
    of its own: two views of one lesion may then come apart in a split.
    """

    cohort: str
    images: tuple[LabelledImage, ...]
    unmapped: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)
    sites: Mapping[str, int] = field(default_factory=dict)
    alone: int = 0

    @property
    def lost(self) -> int:
        """Number of images that are not among `images`."""
        return sum(self.unmapped.values()) + sum(self.left_out.values())

    def lines(self) -> list[str]:
        """The same for people, one sentence a line, the largest count first."""
        lesions = len({i.lesion for i in self.images})
        said = [f"{self.cohort}: images {len(self.images)}, lesions {lesions}, left out {self.lost}"]
        said += [f"  left out, no node for the label {k!r}: {n}" for k, n in _most(self.unmapped)]
        said += [f"  left out, {reason}: {n}" for reason, n in _most(self.left_out)]
        said += [f"  site not known, no node for {term!r}: {n}" for term, n in _most(self.sites)]
        if self.alone:
            said.append(f"  without a lesion id, each taken for a lesion of its own: {self.alone}")
        return said


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))
