"""How is a folder in the layout of the ISIC archive read: one `metadata.csv` and `images/<isic_id>.jpg`?

One reader serves MILK10k, HAM10000 and any other ISIC-style folder; a `Layout` says what differs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import CohortError, DxtreeError
from core.taxonomy import SEPARATOR, Taxonomy

MODALITIES = {
    "dermoscopic": "dermoscopy",
    "clinical: close-up": "clinical",
    "clinical: overview": "clinical",
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
_NEEDED = ("isic_id", "lesion_id", "image_type", "diagnosis_1", "age_approx", "sex")


@dataclass(frozen=True)
class Layout:
    """What differs between folders: the cohort's name, its official class column or rule, subgroup columns.

    `official_nodes` maps each official class to nodes of the diagnosis tree; a node belongs to the class
    that names its nearest ancestor. `official_column` holds the class where the table has one; without
    it the class follows from the label through `official_nodes`.
    """

    name: str
    official_column: str | None = None
    official_nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    group_columns: Mapping[str, str] = field(default_factory=dict)


def read_isic(folder: str | Path, taxonomy: Taxonomy, layout: Layout) -> list[LabelledImage]:
    """Reads every row of `folder/metadata.csv`, in order.

    Raises `CohortError` naming file, line and column for a missing table, column or image, an empty
    lesion id, an unknown image type or site, a repeated image id, or a diagnosis outside the taxonomy.
    """
    root = Path(folder)
    table = root / "metadata.csv"
    if not table.is_file():
        raise CohortError(f"no metadata.csv in the folder given for cohort {layout.name}")
    here = {path.stem: path for path in (root / "images").glob("*") if path.is_file()}
    seen: set[str] = set()
    images = []
    for where, row in _rows(table, layout):
        image = _read_row(row, where, taxonomy, layout, here)
        if image.image in seen:
            raise CohortError(f"{where}: image {image.image} stands twice; image ids are unique")
        seen.add(image.image)
        images.append(image)
    return images


def _rows(table: Path, layout: Layout) -> Iterator[tuple[str, dict[str, str]]]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        needed = _NEEDED + ((layout.official_column,) if layout.official_column else ())
        missing = [c for c in needed if c not in (reader.fieldnames or ())]
        if not {"site", "anatom_site_general"} & set(reader.fieldnames or ()):
            missing.append("site or anatom_site_general")
        if missing:
            raise CohortError(f"{layout.name}: metadata.csv lacks the columns {', '.join(missing)}")
        for number, row in enumerate(reader, start=2):
            if None in row or None in row.values():
                raise CohortError(f"{layout.name}: metadata.csv, line {number} is ragged")
            yield f"{layout.name}: metadata.csv, line {number}", row


def _read_row(
    row: Mapping[str, str], where: str, taxonomy: Taxonomy, layout: Layout, files: Mapping[str, Path]
) -> LabelledImage:
    label = SEPARATOR.join(row[c] for c in _LEVELS if row.get(c))
    if label not in taxonomy:
        raise CohortError(f"{where}: diagnosis {label!r} is no node of {taxonomy.name!r}")
    if not row["lesion_id"]:
        raise CohortError(f"{where}: lesion_id is empty; without it a split can leak")
    if row["image_type"] not in MODALITIES:
        raise CohortError(f"{where}: image_type must be one of {', '.join(MODALITIES)}")
    if row["isic_id"] not in files:
        raise CohortError(f"{where}: the folder images has no file {row['isic_id']}.*")
    column = layout.official_column
    official = row[column] if column else official_class(label, taxonomy, layout.official_nodes)
    return LabelledImage(
        image=row["isic_id"],
        lesion=row["lesion_id"],
        modality=MODALITIES[row["image_type"]],
        path=files[row["isic_id"]],
        label=label,
        patient=_patient(row, where),
        cohort=layout.name,
        official=official or None,
        groups={name: row[c] for name, c in layout.group_columns.items() if row.get(c)},
    )


def _patient(row: Mapping[str, str], where: str) -> PatientMetadata:
    site = row.get("site", row.get("anatom_site_general", ""))
    if site not in SITES:
        raise CohortError(f"{where}: the site must be one of {', '.join(s for s in SITES if s)}, or empty")
    try:
        age = float(row["age_approx"]) if row["age_approx"] else None
        return PatientMetadata(age_years=age, sex=row["sex"] or None, site=SITES[site])  # type: ignore[arg-type]
    except (ValueError, DxtreeError) as error:
        text = error.safe_message if isinstance(error, DxtreeError) else "age_approx is no number"
        raise CohortError(f"{where}: {text}") from None


def official_class(label: str, taxonomy: Taxonomy, nodes: Mapping[str, tuple[str, ...]]) -> str | None:
    """The official class whose node is the nearest ancestor of `label`, or itself; `None` without one."""
    owner = {node: name for name, owned in nodes.items() for node in owned}
    return next((owner[node] for node in reversed(taxonomy.path(label)) if node in owner), None)
