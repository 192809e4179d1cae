"""How do the lines of any data set become labelled images, with nothing lost unseen?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import CohortError
from core.taxonomy import Taxonomy
from dxtree.cohorts.labels import Labels
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import ImageFiles

NO_LABEL = "no label given"
"""The reason by which a survey counts images whose label is empty."""


@dataclass(frozen=True)
class Record:
    """One image as its table describes it. `where` is file and line, for errors.

    `file` is what the table calls the image file, `column` the column that says so and `labelled` the one
    of the label. `unplaced` is the word for a site that no node means. `left_out` is the reason why the
    image is not used, where there is one. `lesion` is empty where the set does not say.
    """

    where: str
    image: str
    file: str
    column: str
    lesion: str
    modality: str
    label: str
    labelled: str
    patient: PatientMetadata = field(default_factory=PatientMetadata)
    unplaced: str = ""
    official: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    person: str | None = None
    overview: bool = False
    left_out: str = ""


def gather(
    cohort: str, records: Iterable[Record], labels: Labels, taxonomy: Taxonomy, files: ImageFiles
) -> CohortSurvey:
    """Makes a labelled image of each record whose label has a node, and counts the others.

    Raises `CohortError` for an empty image id or one that stands twice, an unknown label, an image file that
    is missing or stands twice, and a tree in which no label of the set has a node.
    """
    images: list[LabelledImage] = []
    seen: set[str] = set()
    unmapped: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    sites: Counter[str] = Counter()
    faults: list[str] = []
    alone = 0
    for record in records:
        _check_id(record, seen)
        node = labels.node(record.label, taxonomy, f"{record.where}: {record.labelled}")
        if record.left_out or not record.label:
            left_out[record.left_out or NO_LABEL] += 1
        elif node is None:
            unmapped[record.label] += 1
        else:
            found = files.matching(record.file)
            if len(found) != 1:
                faults.append(_fault(record, len(found)))
            else:
                images.append(_image(cohort, record, node, found[0]))
            alone += not record.lesion
            sites.update([record.unplaced] if record.unplaced else [])
    if faults:
        more = f" (and so for {len(faults) - 1} further rows)" if len(faults) > 1 else ""
        raise CohortError(f"{faults[0]}{more}")
    if unmapped and not images:
        raise CohortError(
            f"{cohort}: no label of this set has a node in taxonomy {taxonomy.name!r}; name another"
        )
    return CohortSurvey(cohort, tuple(images), dict(unmapped), dict(left_out), dict(sites), alone)


def _check_id(record: Record, seen: set[str]) -> None:
    if not record.file or not record.image:
        raise CohortError(f"{record.where}: {record.column} is empty; each row names its image")
    if record.image in seen:
        raise CohortError(f"{record.where}: image {record.image} stands twice; image ids are unique")
    seen.add(record.image)


def _fault(record: Record, number: int) -> str:
    stem = Path(record.file).stem
    count = "no image file" if number == 0 else f"{number} image files"
    remedy = "download it again, or delete the row" if number == 0 else "remove the copies"
    return f"{record.where}: the folder has {count} {stem}.* for {record.column}; one is needed, {remedy}"


def _image(cohort: str, record: Record, node: str, path: Path) -> LabelledImage:
    return LabelledImage(
        image=record.image,
        lesion=record.lesion or record.image,
        modality=record.modality,
        path=path,
        label=node,
        patient=record.patient,
        cohort=cohort,
        official=record.official or None,
        groups=record.groups,
        person=record.person or None,
        overview=record.overview,
    )
