"""How is a data set read whose table has one row for each image?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from core.taxonomy import Taxonomy
from dxtree.cohorts.gathering import Record, gather
from dxtree.cohorts.labels import Labels
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import SUFFIXES, ImageFiles, Row, find_table, read_rows
from dxtree.cohorts.terms import PatientColumns, meaning


def _nothing(_: Row) -> str:
    return ""


def _no_groups(_: Row) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class FlatSet:
    """A data set with one row for each image: its files, its columns, and what its labels mean.

    `tables` are the names that the table comes under. `official` is the column of the set's own class and
    `classes` the meaning of each word there. `lesion` and `groups` make from a row what the set says of them,
    an empty text for what it does not say. `unused` gives the reason why a row is left out. `tail` is an
    ending of file names that is no part of the image id, `prefix` what makes a bare number an id of its own
    among other sets.
    """

    name: str
    title: str
    tables: tuple[str, ...]
    image: str
    label: str
    labels: Labels
    modality: str
    patient: PatientColumns = field(default_factory=PatientColumns)
    needed: tuple[str, ...] = ()
    person: str | None = None
    official_nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    malignant: str | None = "Malignant"
    lesion: Callable[[Row], str] = _nothing
    official: str | None = None
    classes: Mapping[str, str | None] = field(default_factory=dict)
    groups: Callable[[Row], Mapping[str, str]] = _no_groups
    unused: Callable[[Row], str] = _nothing
    tail: str = ""
    prefix: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the table must have."""
        own = (self.image, self.label, *(c for c in (self.person, self.official) if c), *self.patient.names)
        return tuple(dict.fromkeys((*own, *self.needed)))

    def survey(self, folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
        """Reads the table and finds every image.

        Raises `CohortError` naming file, line and column for whatever cannot be read.
        """
        root = Path(folder)
        table = find_table(root, self.tables, self.name)
        return self.survey_rows(read_rows(table, self.name, self.columns), root, taxonomy)

    def survey_rows(self, rows: Iterable[tuple[str, Row]], root: Path, taxonomy: Taxonomy) -> CohortSurvey:
        """The same for rows that are read already, each with its place."""
        return gather(self.name, self._records(rows), self.labels, taxonomy, ImageFiles(root))

    def _records(self, rows: Iterable[tuple[str, Row]]) -> Iterator[Record]:
        for where, row in rows:
            yield Record(
                where=where,
                image=self.prefix + bare(row[self.image]).removesuffix(self.tail),
                file=row[self.image],
                column=self.image,
                lesion=self.lesion(row),
                modality=self.modality,
                label=row[self.label],
                labelled=self.label,
                patient=self.patient.read(row, where),
                unplaced=self.patient.unplaced(row),
                official=meaning(row, where, self.official, self.classes),
                groups={name: value for name, value in self.groups(row).items() if value},
                person=row[self.person] if self.person else None,
                left_out=self.unused(row),
            )


def bare(file: str) -> str:
    """The image id: the file's name without folders and suffix."""
    path = PurePosixPath(file)
    return path.stem if path.suffix.lower() in SUFFIXES else path.name
