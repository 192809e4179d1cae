"""How is a folder in the layout of the ISIC archive read: one `metadata.csv` and `images/<isic_id>.jpg`?

Without a folder `images` the files may lie anywhere below, as the archive's own downloads have them.

One reader serves MILK10k, HAM10000 and any other ISIC-style folder; a `Layout` says what differs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import CohortError, DxtreeError, did_you_mean
from core.taxonomy import SEPARATOR, Taxonomy

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

_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
_LEVELS = tuple(f"diagnosis_{i}" for i in range(1, 6))
_SITES = ("site", "anatom_site_general")
_PERSON = "patient_id"
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
    lesion id, an unknown image type, sex or site, an age out of range, a repeated image id, a diagnosis
    outside the taxonomy, or a table that is no UTF-8 CSV. It never repeats what stands in such a column.
    """
    root = Path(folder)
    table = root / "metadata.csv"
    if not table.is_file():
        raise CohortError(f"no metadata.csv in the folder given for cohort {layout.name}")
    here = _image_files(root)
    seen: set[str] = set()
    images = []
    for where, row in _rows(table, layout):
        image = _read_row(row, where, taxonomy, layout, here)
        if image.image in seen:
            raise CohortError(f"{where}: image {image.image} stands twice; image ids are unique")
        seen.add(image.image)
        images.append(image)
    return images


def _image_files(root: Path) -> dict[str, Path | None]:
    """The image of each name without its suffix, and `None` where two files share it."""
    images = root / "images"
    found: dict[str, Path | None] = {}
    for path in images.iterdir() if images.is_dir() else root.rglob("*"):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            found[path.stem] = None if path.stem in found else path
    return found


def _rows(table: Path, layout: Layout) -> Iterator[tuple[str, dict[str, str]]]:
    where = f"{layout.name}: metadata.csv"
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            _check_header(reader.fieldnames or (), layout)
            for row in reader:
                if None in row or None in row.values():
                    raise CohortError(f"{where}, line {reader.line_num} is ragged")
                yield f"{where}, line {reader.line_num}", row
        except UnicodeDecodeError:
            raise CohortError(f"{where} is not UTF-8; save it as such") from None
        except csv.Error:
            line = reader.reader.line_num
            raise CohortError(
                f"{where}, line {line} cannot be read as CSV: a quote is open or a field too long"
            ) from None


def _check_header(columns: Sequence[str], layout: Layout) -> None:
    needed = _NEEDED + ((layout.official_column,) if layout.official_column else ())
    missing = [c for c in needed if c not in columns]
    if not set(_SITES) & set(columns):
        missing.append(" or ".join(_SITES))
    if missing:
        raise CohortError(f"{layout.name}: metadata.csv lacks the columns {', '.join(missing)}")
    twice = next((c for c in (*needed, *_LEVELS, *_SITES, _PERSON) if columns.count(c) > 1), None)
    if twice:
        raise CohortError(f"{layout.name}: metadata.csv, line 1 names the column {twice} twice")


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


def _read_row(
    row: Mapping[str, str], where: str, taxonomy: Taxonomy, layout: Layout, files: Mapping[str, Path | None]
) -> LabelledImage:
    label = _label(row, where, taxonomy)
    if not row["lesion_id"]:
        raise CohortError(f"{where}: lesion_id is empty; without it a split can leak")
    if row["image_type"] not in MODALITIES:
        raise CohortError(f"{where}: image_type must be one of {', '.join(MODALITIES)}")
    path = files.get(row["isic_id"])
    if path is None:
        number = "two image files" if row["isic_id"] in files else "no image file"
        raise CohortError(f"{where}: the folder has {number} {row['isic_id']}.* for isic_id; one is needed")
    column = layout.official_column
    official = row[column] if column else official_class(label, taxonomy, layout.official_nodes)
    return LabelledImage(
        image=row["isic_id"],
        lesion=row["lesion_id"],
        modality=MODALITIES[row["image_type"]],
        path=path,
        label=label,
        patient=_patient(row, where),
        cohort=layout.name,
        official=official or None,
        groups={name: row[c] for name, c in layout.group_columns.items() if row.get(c)},
        person=row.get(_PERSON) or None,
        overview=row["image_type"] == _OVERVIEW,
    )


def _patient(row: Mapping[str, str], where: str) -> PatientMetadata:
    column = next(c for c in _SITES if c in row)
    site = row[column]
    if site not in SITES:
        raise CohortError(f"{where}: {column} must be one of {', '.join(s for s in SITES if s)}, or empty")
    try:
        age = float(row["age_approx"]) if row["age_approx"] else None
        return PatientMetadata(age_years=age, sex=row["sex"] or None, site=SITES[site])  # type: ignore[arg-type]
    except (ValueError, DxtreeError) as error:
        text = error.safe_message if isinstance(error, DxtreeError) else "age_years is no number"
        raise CohortError(f"{where}: {text.replace('age_years', 'age_approx')}") from None


def official_class(label: str, taxonomy: Taxonomy, nodes: Mapping[str, tuple[str, ...]]) -> str | None:
    """The official class whose node is the nearest ancestor of `label`, or itself; `None` without one."""
    owner = {node: name for name, owned in nodes.items() for node in owned}
    return next((owner[node] for node in reversed(taxonomy.path(label)) if node in owner), None)
