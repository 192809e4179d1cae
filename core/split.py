"""Which lesions train and which are held out, so that nothing stands on both sides?

What must stay together is a *component*: lesions joined by links such as one patient or one picture under
two ids, and by links of links.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.cohort import LabelledImage
from core.errors import CohortError, LeakageError

TRAINING, VALIDATION = "training", "validation"
FORMAT = 1


@dataclass(frozen=True)
class Split:
    """Which lesion belongs to which part, and to which fold within the training part.

    `part` maps a lesion to "training" or "validation"; `fold` maps a training lesion to 0 .. folds - 1.
    `excluded` maps an image to the reason why no result counts it; it may still be trained on. `notes` say
    what a reader of results must know about the split.
    """

    part: Mapping[str, str]
    fold: Mapping[str, int]
    folds: int
    seed: int
    excluded: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """Number of lesions in each part."""
        return dict(sorted(Counter(self.part.values()).items()))

    def select(self, images: Iterable[LabelledImage], part: str) -> list[LabelledImage]:
        """The images whose lesion lies in this part. Raises `CohortError` for a lesion not in the split."""
        return [i for i in images if self.part_of(i) == part]

    def kept(self, images: Iterable[LabelledImage]) -> list[LabelledImage]:
        """The images that results may count: those not excluded."""
        return [i for i in images if i.image not in self.excluded]

    def part_of(self, image: LabelledImage) -> str:
        """The part of an image's lesion. Raises `CohortError` where the split does not hold the lesion."""
        try:
            return self.part[image.lesion]
        except KeyError:
            raise CohortError(
                f"lesion {image.lesion} of {image.cohort} is not in the split; "
                "make the split over all cohorts"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, in one order."""
        return {
            "format": FORMAT,
            "seed": self.seed,
            "folds": self.folds,
            "notes": list(self.notes),
            "excluded": dict(sorted(self.excluded.items())),
            "part": dict(sorted(self.part.items())),
            "fold": dict(sorted(self.fold.items())),
        }

    @classmethod
    def from_dict(cls, raw: object) -> Split:
        """Reads `to_dict`, and the older document without `format`, `excluded` and `notes`.

        Raises `CohortError` where a field is missing or of another kind, a part is neither of the two, or
        the folds are not those of the training lesions.
        """
        if not isinstance(raw, Mapping):
            raise CohortError("a split is a JSON object with part, fold, folds and seed")
        if raw.get("format", FORMAT) != FORMAT:
            raise CohortError(f"this dxtree reads splits of format {FORMAT} only; make the split again")
        part, fold = _mapping(raw, "part", str), _mapping(raw, "fold", int)
        excluded, notes = _mapping({"excluded": {}, **raw}, "excluded", str), raw.get("notes", [])
        folds, seed = raw.get("folds"), raw.get("seed")
        if type(folds) is not int or type(seed) is not int or folds < 2:
            raise CohortError("a split's folds and seed are whole numbers, folds at least 2")
        if not isinstance(notes, (list, tuple)) or not all(isinstance(n, str) for n in notes):
            raise CohortError("a split's notes are a list of texts")
        wrong = next((lesion for lesion, p in part.items() if p not in (TRAINING, VALIDATION)), None)
        if wrong is not None:
            raise CohortError(f"lesion {wrong} of the split must be in {TRAINING} or {VALIDATION}")
        training = {lesion for lesion, p in part.items() if p == TRAINING}
        wrong = min(training ^ fold.keys(), default=None)
        if wrong is not None:
            raise CohortError(f"lesion {wrong}: each training lesion of a split has a fold, and no other")
        wrong = next((lesion for lesion, f in fold.items() if not 0 <= f < folds), None)
        if wrong is not None:
            raise CohortError(f"lesion {wrong} of the split lies in a fold outside 0 .. {folds - 1}")
        return cls(part, fold, folds, seed, excluded, tuple(notes))


def split_by_component(
    images: Sequence[LabelledImage],
    links: Iterable[tuple[str, str]] = (),
    *,
    validation: float = 0.2,
    folds: int = 3,
    seed: int = 0,
    excluded: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Split:
    """Splits the union of all cohorts, stratified by label; linked lesions are never separated.

    A component is named by its smallest lesion id. Its place depends on that name, its label and the seed
    alone, through a hash, not on the order of images or links. `validation` is the fraction of components of
    each label held out, in [0, 1). A component with several labels (two cohorts may name a lesion at
    different depths) counts with the one of most images, the first in alphabetical order among equals.
    """
    if not 0 <= validation < 1 or folds < 2:
        raise CohortError("validation must lie in [0, 1) and folds must be at least 2")
    component = components({i.lesion for i in images}, links)
    labels: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        labels[component[image.lesion]][image.label] += 1
    strata: dict[str, list[str]] = defaultdict(list)
    for name, counted in labels.items():
        strata[min(counted, key=lambda label: (-counted[label], label))].append(name)
    held: set[str] = set()
    place: dict[str, int] = {}
    start = 0
    for label in sorted(strata):
        ordered = sorted(strata[label], key=_shuffled(seed))
        cut = round(validation * len(ordered))
        held.update(ordered[:cut])
        place.update((name, (start + k) % folds) for k, name in enumerate(ordered[cut:]))
        start += len(ordered) - cut
    part = {lesion: VALIDATION if name in held else TRAINING for lesion, name in component.items()}
    fold = {lesion: place[name] for lesion, name in component.items() if name in place}
    return Split(part, fold, folds, seed, dict(excluded or {}), tuple(notes))


def components(lesions: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The component of each lesion, named by the smallest lesion id in it.

    Raises `CohortError` for a link to a lesion that is not among them.
    """
    above = {lesion: lesion for lesion in lesions}

    def root(lesion: str) -> str:
        while above[lesion] != lesion:
            above[lesion] = lesion = above[above[lesion]]
        return lesion

    for link in links:
        unknown = next((lesion for lesion in link if lesion not in above), None)
        if unknown is not None:
            raise CohortError(f"a link names lesion {unknown}, which no image has; find the links again")
        first, second = sorted(map(root, link))
        above[second] = first
    return {lesion: root(lesion) for lesion in above}


def check_no_leak(
    first: Iterable[LabelledImage], second: Iterable[LabelledImage], names: tuple[str, str]
) -> None:
    """Raises `LeakageError` where a lesion or an image stands in both lists; it says how many and which."""
    a, b = list(first), list(second)
    shared = sorted({i.lesion for i in a} & {i.lesion for i in b})
    shared = shared or sorted({i.image for i in a} & {i.image for i in b})
    if shared:
        raise LeakageError(
            f"{len(shared)} lesions stand in {names[0]} and in {names[1]}, {shared[0]} for one; "
            "split by lesion over the union of the cohorts"
        )


def _mapping(raw: Mapping[str, Any], name: str, kind: type) -> dict[str, Any]:
    found = raw.get(name)
    if not isinstance(found, Mapping) or not all(type(v) is kind for v in found.values()):
        raise CohortError(
            f"a split's {name} is a JSON object of {'texts' if kind is str else 'whole numbers'}"
        )
    return dict(found)


def _shuffled(seed: int) -> Callable[[str], str]:
    return lambda name: hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()
