"""How are the table and the image files of a downloaded data set found and read?"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from core.errors import CohortError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"})
"""What an image file is known by; other files beside them are ignored."""

Row = dict[str, str]
"""One line of a table: column to text, as it stands there."""


def find_table(root: Path, names: Sequence[str], cohort: str) -> Path:
    """The first of these files that stands in the folder, or in one folder below it.

    Raises `CohortError` where none does, or where one stands in several folders below.
    """
    for name in names:
        if (root / name).is_file():
            return root / name
    for name in names:
        below = sorted(root.glob(f"*/{name}"))
        if len(below) > 1:
            raise CohortError(
                f"{cohort}: {name} stands in {len(below)} folders below the one given; name one"
            )
        if below:
            return below[0]
    raise CohortError(f"no {' or '.join(names)} in the folder given for cohort {cohort}")


def read_rows(table: Path, cohort: str, needed: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Every line of a CSV file with its place, `cohort: file, line n`; a `.tab` file is parted by tabs.

    A byte order mark and foreign line ends change nothing; columns that nobody needs may be there. Raises
    `CohortError` for a needed column that is missing or stands twice, a ragged line, an open quote, and a
    file that is not UTF-8.
    """
    where = f"{cohort}: {table.name}"
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True, delimiter="\t" if table.suffix == ".tab" else ",")
        try:
            check_header(where, reader.fieldnames or (), needed)
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


def columns_of(table: Path, cohort: str) -> tuple[str, ...]:
    """The names in the first line of a table. Raises `CohortError` where it is not UTF-8."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            return tuple(next(csv.reader(file, delimiter="\t" if table.suffix == ".tab" else ","), ()))
    except UnicodeDecodeError:
        raise CohortError(f"{cohort}: {table.name} is not UTF-8; save it as such") from None


def check_header(where: str, columns: Sequence[str], needed: Sequence[str]) -> None:
    """Raises `CohortError` naming every needed column that is missing, or one that stands twice."""
    missing = [c for c in needed if c not in columns]
    if missing:
        raise CohortError(f"{where} lacks the columns {', '.join(missing)}")
    twice = next((c for c in columns if c and columns.count(c) > 1), None)
    if twice:
        raise CohortError(f"{where}, line 1 names the column {twice} twice")


class ImageFiles:
    """The image files of a folder by name, wherever below it they lie.

    With a folder `images` only what is below that one counts.
    """

    def __init__(self, root: Path) -> None:
        self._by_stem: dict[str, list[Path]] = defaultdict(list)
        images = root / "images"
        for path in sorted((images if images.is_dir() else root).rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                self._by_stem[path.stem.lower()].append(path)

    def matching(self, name: str) -> list[Path]:
        """The files that a table's name can mean: a bare id, a file name, or a path with folders.

        Upper and lower case are one, as on the systems that the sets were made on. Where several files
        share the id, the one that agrees with most of the given path counts.
        """
        wanted = PurePosixPath(name)
        bare = wanted.suffix.lower() not in SUFFIXES
        found = self._by_stem.get((wanted.name if bare else wanted.stem).lower(), [])
        if len(found) < 2 or bare:
            return found
        agreement = [_agreement(path, wanted) for path in found]
        return [path for path, n in zip(found, agreement, strict=True) if n == max(agreement)]


def _agreement(path: Path, wanted: PurePosixPath) -> int:
    """How many trailing parts of two paths are the same."""
    count = 0
    for here, there in zip(reversed(path.parts), reversed(wanted.parts), strict=False):
        if here.lower() != there.lower():
            break
        count += 1
    return count
