"""What does a DICOM data set say of the patient's age and sex and of the lesion's site?

`dataset` is a pydicom one. What cannot be understood for certain is missing, and a remark says so; a remark
is a key of `remarks.REMARKS`. Nothing is guessed: a site is taken from a coded region that stands in
`sites.csv`, never from free text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any

from core.case import MAX_AGE_YEARS
from modalities.dicom.sites import site_of

_YEARS = {"D": 1 / 365.2425, "W": 7 / 365.2425, "M": 1 / 12, "Y": 1.0}
_SEXES = {"F": "female", "M": "male"}


def age_of(dataset: Any) -> tuple[float | None, str | None]:
    """Age in years and a remark: Patient's Age, or else the whole years from Birth Date to Study Date."""
    text = _text(dataset, "PatientAge")
    if text:
        found = re.fullmatch(r"(\d{3})([DWMY])", text)
        return _legal(int(found[1]) * _YEARS[found[2]]) if found else (None, "age_unreadable")
    born, seen = _text(dataset, "PatientBirthDate"), _text(dataset, "StudyDate")
    if not born or not seen:
        return None, None
    first, last = _date(born), _date(seen)
    if first is None or last is None:
        return None, "age_unreadable"
    return _legal(last.year - first.year - ((last.month, last.day) < (first.month, first.day)))


def sex_of(dataset: Any) -> tuple[str | None, str | None]:
    """`female`, `male` or not known, and a remark where another term stands (PS3.3, C.7.1.1)."""
    text = _text(dataset, "PatientSex")
    if not text:
        return None, None
    return (_SEXES[text], None) if text in _SEXES else (None, "sex_other")


def site_in(dataset: Any) -> tuple[str | None, str | None]:
    """The id of a node of `core.case.body_sites()` and a remark: from the coded Anatomic Region Sequence.

    It stands in the data set itself or in the shared Frame Anatomy. Several regions that are not one within
    the other leave the site missing.
    """
    codes = list(_regions(dataset))
    if not codes:
        return None, None
    sites = {site_of(value, scheme) for value, scheme in codes}
    site = sites.pop()
    if sites:
        return None, "site_ambiguous"
    return (site, None) if site is not None else (None, "site_unknown")


def is_identified(dataset: Any) -> bool:
    """Whether nothing says that the patient's identity was removed (PS3.3, C.12.1)."""
    return _text(dataset, "PatientIdentityRemoved") != "YES"


def is_burned_in(dataset: Any) -> bool:
    """Whether the file says that text is drawn into its pixels."""
    return _text(dataset, "BurnedInAnnotation") == "YES"


def _regions(dataset: Any) -> Iterator[tuple[str, str]]:
    for item in _items(dataset, "AnatomicRegionSequence"):
        yield _code(item)
    for groups in _items(dataset, "SharedFunctionalGroupsSequence"):
        for anatomy in _items(groups, "FrameAnatomySequence"):
            for item in _items(anatomy, "AnatomicRegionSequence"):
                yield _code(item)


def _code(item: Any) -> tuple[str, str]:
    value = _text(item, "CodeValue") or _text(item, "LongCodeValue")
    return value, _text(item, "CodingSchemeDesignator")


def _items(dataset: Any, keyword: str) -> list[Any]:
    found = getattr(dataset, keyword, None)
    return list(found) if found is not None and not isinstance(found, str | bytes) else []


def _text(dataset: Any, keyword: str) -> str:
    """One text; empty for an absent element, several values or one of another type."""
    value = getattr(dataset, keyword, None)
    return str(value).strip() if isinstance(value, str) else ""


def _date(text: str) -> date | None:
    if not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _legal(years: float) -> tuple[float | None, str | None]:
    return (float(years), None) if 0 <= years <= MAX_AGE_YEARS else (None, "age_unreadable")
