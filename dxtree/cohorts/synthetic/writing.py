"""How does a synthetic cohort become a folder that every reader of ISIC-style folders can read?"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.cohort import LabelledImage
from core.errors import CohortError
from core.taxonomy import SEPARATOR, Taxonomy
from dxtree.cohorts.isic import read_isic
from dxtree.cohorts.synthetic.classes import SYNTHETIC
from dxtree.cohorts.synthetic.lesion import (
    DEFAULT_SIZE,
    VIEWS,
    FineSignal,
    SyntheticLesion,
    check_options,
    make_lesion,
)

_IMAGE_TYPES = {"clinical": "clinical: close-up", "dermoscopy": "dermoscopic"}
_COLUMNS = (
    "isic_id", "lesion_id", "image_type", "age_approx", "sex", "site", "skin_tone_class",
    "diagnosis_1", "diagnosis_2", "diagnosis_3",
)  # fmt: skip


@dataclass(frozen=True)
class SyntheticConfig:
    """What cohort to make. Lesion i of a seed is the same in every cohort, however many there are.

    `lesions` is at least 1, `size` the side of the square pictures, 64 to 1024 pixels. Raises
    `CohortError` for anything else. `fine_signal` and `metadata_signal` mean what they mean to
    `make_lesion`.
    """

    lesions: int = 600
    seed: int = 0
    size: int = DEFAULT_SIZE
    metadata_signal: bool | None = None
    views: tuple[str, ...] = VIEWS
    fine_signal: FineSignal = "natural"

    def __post_init__(self) -> None:
        if self.lesions < 1 or not self.views or len(set(self.views)) != len(self.views):
            raise CohortError("a synthetic cohort needs at least one lesion and one view, each view once")
        check_options(seed=self.seed, index=0, size=self.size, views=self.views, fine_signal=self.fine_signal)

    def make(self) -> Iterator[SyntheticLesion]:
        """The lesions, one after the other."""
        for index in range(self.lesions):
            yield make_lesion(
                self.seed,
                index,
                size=self.size,
                metadata_signal=self.metadata_signal,
                views=self.views,
                fine_signal=self.fine_signal,
            )


def write_synthetic(
    folder: str | Path, config: SyntheticConfig, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Writes `images/*.jpg` and then `metadata.csv` into a folder, which is made; returns the folder.

    `progress` is told lesions done and lesions in all after each lesion. The table comes last and in
    one piece, so that a folder with a table is complete. Raises `CohortError` where the folder holds a
    table already.
    """
    root = Path(folder)
    table = root / "metadata.csv"
    if table.exists():
        raise CohortError("the folder holds a metadata.csv already; give a new one")
    images = root / "images"
    images.mkdir(parents=True, exist_ok=True)
    rows = []
    for done, lesion in enumerate(config.make(), start=1):
        for view, data in lesion.jpegs.items():
            (images / f"{lesion.image_id(view)}.jpg").write_bytes(data)
            rows.append(_row(lesion, view))
        if progress is not None:
            progress(done, config.lesions)
    partial = root / "metadata.csv.partial"
    with partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(table)
    return root


def read_synthetic(folder: str | Path, taxonomy: Taxonomy) -> list[LabelledImage]:
    """Reads a natural cohort that `write_synthetic` wrote, as `read_isic` reads any, with the same errors.

    The other two are read with the layout `FINE_SIGNAL` over `fine_signal_taxonomy()`.
    """
    return read_isic(folder, taxonomy, SYNTHETIC)


def _row(lesion: SyntheticLesion, view: str) -> dict[str, str]:
    names = [*lesion.label.split(SEPARATOR), "", ""]
    return {
        "isic_id": lesion.image_id(view),
        "lesion_id": lesion.lesion,
        "image_type": _IMAGE_TYPES[view],
        "age_approx": lesion.person.age,
        "sex": lesion.person.sex,
        "site": lesion.person.site,
        "skin_tone_class": str(lesion.skin_tone),
        "diagnosis_1": names[0],
        "diagnosis_2": names[1],
        "diagnosis_3": names[2],
    }
