"""Which of our lesion sites does a coded anatomic region name, and which code names a site?

`sites.csv` is the one table: every row is a code of the standard's context groups (CID 4029 Dermatology
Anatomic Site, CID 4, 4031 and 8134), its meaning there, and the narrowest node of `core.case.body_sites()`
that surely holds it. A region that no node surely holds, such as the axilla or the groin, has no row.
`exact` marks the one code, if there is one, that means all of the site.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.sr.coding import Code

_RETIRED = {"SNM3": "SRT", "99SDM": "SRT"}
"""Older names of SNOMED-RT (PS3.16, 8.1), whose codes pydicom translates to SNOMED CT."""


def site_of(value: str, scheme: str) -> str | None:
    """The site's id for a code value and its coding scheme designator; `None` where the table has no such
    code.

    Needs pydicom, for the retired SNOMED-RT codes.
    """
    from pydicom.sr.coding import Code

    given = Code(value, _RETIRED.get(scheme, scheme), "")
    # One after the other: two codes of different schemes can be equal, but their hashes differ.
    return next((site for code, site in _table() if code == given), None)


def exact_code(site: str) -> tuple[str, str] | None:
    """SNOMED CT code and meaning of exactly this site; `None` where there is none."""
    found = [(row["code"], row["meaning"]) for row in rows() if row["exact"] and row["site"] == site]
    return found[0] if found else None


@cache
def rows() -> tuple[dict[str, str], ...]:
    """The table as it is written: `site`, `exact`, `scheme`, `code`, `meaning`, `source`."""
    # Not importlib.resources: in the worker the package is a bare module without a spec.
    text = Path(__file__).with_name("sites.csv").read_text("utf-8")
    return tuple(csv.DictReader(text.splitlines()))


@cache
def _table() -> tuple[tuple[Code, str], ...]:
    from pydicom.sr.coding import Code

    return tuple((Code(row["code"], row["scheme"], ""), row["site"]) for row in rows())
