"""What does one pass over the files of a cohort see?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.cohort import LabelledImage
from core.errors import CohortError, DxtreeError
from dxtree.splitting.likeness import Hash, check_hashing, picture_hash
from dxtree.splitting.quality import concern
from modalities.images import decode_here

MAX_BAD_FRACTION = 0.01
DECODED_SIDE = 448

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Look:
    """The sha256 of a file, the hash of its picture, `None` if too plain, and why not to judge by it."""

    sha256: str
    hash: Hash | None
    concern: str | None = None


def look(
    images: Sequence[LabelledImage], *, quality: bool = False, progress: Progress | None = None
) -> list[Look | None]:
    """Reads every file once; `None` for one that cannot be read.

    Raises `CohortError` where more than 1 % cannot be read, `MissingExtra` without the package imagehash.
    """
    check_hashing()

    def one(image: LabelledImage) -> Look | None:
        try:
            data = image.path.read_bytes()
            picture = decode_here(data, target_side=DECODED_SIDE).pixels
        except (DxtreeError, OSError):
            return None
        said = concern(picture, image.modality, overview=image.overview) if quality else None
        return Look(hashlib.sha256(data).hexdigest(), picture_hash(picture), said)

    found = []
    with ThreadPoolExecutor(2) as pool:
        for seen in pool.map(one, images):
            found.append(seen)
            if progress is not None:
                progress(len(found), len(images))
    bad = [i.image for i, seen in zip(images, found, strict=True) if seen is None]
    if len(bad) > MAX_BAD_FRACTION * len(images):
        raise CohortError(
            f"{len(bad)} of {len(images)} images cannot be read, {bad[0]} for one; at most 1 % may be skipped"
        )
    return found
