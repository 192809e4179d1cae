"""How is a split made that nothing leaks through?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from core.cohort import LabelledImage
from core.split import Split, split_by_component
from dxtree.splitting.likeness import NEAR
from dxtree.splitting.links import Link, find_links
from dxtree.splitting.look import Look, Progress, look


def guarded_split(
    images: Sequence[LabelledImage],
    *,
    validation: float = 0.2,
    folds: int = 3,
    seed: int = 0,
    quality: bool = False,
    distance: int = NEAR,
    progress: Progress | None = None,
) -> tuple[Split, list[Link]]:
    """Splits over components of linked lesions, and gives the links. Every image file is read once.

    With `quality`, blurred and far-away images are left out of results, never out of training.

    Raises what `look` and `split_by_component` raise.
    """
    looks = look(images, quality=quality, progress=progress)
    links = find_links(images, looks, distance=distance)
    excluded = {i.image: seen.concern for i, seen in zip(images, looks, strict=True) if seen and seen.concern}
    split = split_by_component(
        images,
        ((link.first, link.second) for link in links),
        validation=validation,
        folds=folds,
        seed=seed,
        excluded=excluded,
        notes=notes_on(images, looks),
    )
    return split, links


def notes_on(images: Sequence[LabelledImage], looks: Sequence[Look | None]) -> list[str]:
    """What a reader of results must know: patients not named, files not read, images left out of results."""
    notes = []
    total = Counter(i.cohort for i in images)
    named = Counter(i.cohort for i in images if i.person)
    bare = sorted(set(total) - set(named))
    if bare:
        notes.append(
            f"no patient ids: grouped by lesion ({', '.join(bare)}); "
            "one patient's lesions may stand on both sides"
        )
    notes += [
        f"{total[c] - named[c]} of {total[c]} images of {c} have no patient id: grouped by lesion"
        for c in sorted(named)
        if named[c] < total[c]
    ]
    unread = sum(seen is None for seen in looks)
    if unread:
        notes.append(f"{unread} images could not be read and were compared by their ids alone")
    left_out = Counter(seen.concern for seen in looks if seen and seen.concern)
    notes += [
        f"{n} images are {why}: left out of results, not of training" for why, n in sorted(left_out.items())
    ]
    return notes
