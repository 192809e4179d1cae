"""How is a folder in the layout of the ISIC archive read: one `metadata.csv` and `images/<isic_id>.jpg`?

Without a folder `images` the files may lie anywhere below, as the archive's own downloads have them.

One reader serves MILK10k, HAM10000 and any other ISIC-style folder; a `Layout` says what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.cohort import LabelledImage
from core.errors import CohortError, did_you_mean
from core.taxonomy import SEPARATOR, Taxonomy
from dxtree.cohorts.gathering import Record, gather
from dxtree.cohorts.labels import Labels
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import ImageFiles, columns_of, read_rows
from dxtree.cohorts.terms import PatientColumns

TABLE = "metadata.csv"
"""The name that the archive gives to the table of a download."""

_OVERVIEW = "clinical: overview"
MODALITIES = {
    "dermoscopic": "dermoscopy",
    "clinical: close-up": "clinical",
    _OVERVIEW: "clinical",
}
"""The archive's `image_type` and the modality that reads it."""

SITES: Mapping[str, str | None] = {
    "": None,
    # MILK10k, column `site`
    "head_neck_face": "head_neck",
    "trunk": "trunk",
    "upper_extremity": "upper_extremity",
    "lower_extremity": "lower_extremity",
    "hand": "hand",
    "foot": "foot",
    "genital": "genital",
    # ISIC archive, column `anatom_site_general`
    "head/neck": "head_neck",
    "upper extremity": "upper_extremity",
    "lower extremity": "lower_extremity",
    "anterior torso": "anterior_torso",
    "posterior torso": "posterior_torso",
    "lateral torso": "lateral_torso",
    "oral/genital": "oral_genital",
    # acral skin may be of a hand or of a foot, and the vocabulary has no node above both alone
    "palms/soles": None,
}
"""The two vocabularies of lesion sites, term by term, and the node of `body_sites` each means."""

_LEVELS = tuple(f"diagnosis_{i}" for i in range(1, 6))
_SITES = ("site", "anatom_site_general")
_PERSON = "patient_id"
_NEEDED = ("isic_id", "lesion_id", "image_type", "diagnosis_1", "age_approx", "sex")


@dataclass(frozen=True)
class Layout:
    """What differs between folders: the cohort's name, its official class column or rule, subgroup columns.

    `official_nodes` maps each official class to nodes of the diagnosis tree; a node belongs to the class
    that names its nearest ancestor. `official_column` holds the class where the table has that column; in a
    table without it the class follows from the label through `official_nodes`.
    """

    name: str
    official_column: str | None = None
    official_nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_columns: Mapping[str, str] = field(default_factory=dict)


def read_isic(folder: str | Path, taxonomy: Taxonomy, layout: Layout) -> list[LabelledImage]:
    """Reads every row of `folder/metadata.csv`, in order.

    Raises `CohortError` naming file, line and column for a missing table, column or image, an empty
    lesion id, an unknown image type, sex or site, an age out of range, a repeated image id, a diagnosis
    outside the taxonomy, or a table that is no UTF-8 CSV. It never repeats what stands in such a column.
    """
    return list(survey_isic(folder, taxonomy, layout).images)


def survey_isic(folder: str | Path, taxonomy: Taxonomy, layout: Layout) -> CohortSurvey:
    """As `read_isic`, with the words for a site that no node means counted."""
    root = Path(folder)
    table = root / TABLE
    if not table.is_file():
        raise CohortError(f"no {TABLE} in the folder given for cohort {layout.name}")
    patient = _patient_columns(table, layout)
    needed = (*(c for c in _NEEDED if c not in ("age_approx", "sex")), *patient.names)
    records = (
        _record(row, where, taxonomy, layout, patient) for where, row in read_rows(table, layout.name, needed)
    )
    labels = Labels({taxonomy.name: {node: node for node in taxonomy}})
    return gather(layout.name, records, labels, taxonomy, ImageFiles(root))


def _patient_columns(table: Path, layout: Layout) -> PatientColumns:
    columns = columns_of(table, layout.name)
    missing = [c for c in _NEEDED if c not in columns]
    site = next((c for c in _SITES if c in columns), None)
    if site is None:
        missing.append(" or ".join(_SITES))
    if missing:
        raise CohortError(f"{layout.name}: {table.name} lacks the columns {', '.join(missing)}")
    return PatientColumns("age_approx", "sex", site, sites=SITES)


def _label(row: Mapping[str, str], where: str, taxonomy: Taxonomy) -> str:
    names = [row.get(column) or "" for column in _LEVELS]
    depth = names.index("") if "" in names else len(names)
    if depth == 0 or any(names[depth:]):
        raise CohortError(f"{where}: {_LEVELS[depth]} is empty; levels are filled from the first on")
    above = taxonomy.root
    for column, name in zip(_LEVELS, names[:depth], strict=False):
        here = name if above == taxonomy.root else above + SEPARATOR + name
        if here not in taxonomy or here == taxonomy.root:
            near = did_you_mean(name, [taxonomy.label(child) for child in taxonomy.children(above)])
            raise CohortError(f"{where}: {column} names no node of {taxonomy.name!r} below {above!r}{near}")
        above = here
    return above


def _record(
    row: Mapping[str, str], where: str, taxonomy: Taxonomy, layout: Layout, patient: PatientColumns
) -> Record:
    label = _label(row, where, taxonomy)
    if not row["lesion_id"]:
        raise CohortError(f"{where}: lesion_id is empty; without it a split can leak")
    if row["image_type"] not in MODALITIES:
        raise CohortError(f"{where}: image_type must be one of {', '.join(MODALITIES)}")
    official = row.get(layout.official_column) if layout.official_column else None
    if official is None:
        official = official_class(label, taxonomy, layout.official_nodes)
    return Record(
        where=where,
        image=row["isic_id"],
        file=row["isic_id"],
        column="isic_id",
        lesion=row["lesion_id"],
        modality=MODALITIES[row["image_type"]],
        label=label,
        labelled=_LEVELS[0],
        patient=patient.read(row, where),
        unplaced=patient.unplaced(row),
        official=official,
        groups={name: row[c] for name, c in layout.group_columns.items() if row.get(c)},
        person=row.get(_PERSON),
        overview=row["image_type"] == _OVERVIEW,
    )


def official_class(label: str, taxonomy: Taxonomy, nodes: Mapping[str, tuple[str, ...]]) -> str | None:
    """The official class whose node is the nearest ancestor of `label`, or itself; `None` without one."""
    owner = {node: name for name, owned in nodes.items() for node in owned}
    return next((owner[node] for node in reversed(taxonomy.path(label)) if node in owner), None)
