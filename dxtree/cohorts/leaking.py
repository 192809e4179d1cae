"""Which columns of public data sets give the diagnosis away, and why is none of them an input?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from core.errors import LeakageError

_ANSWER = "it is the diagnosis, or follows from it"
_CONFIRMED = (
    "how a diagnosis was confirmed depends on how suspicious the lesion was: a biopsy follows suspicion"
)
_STAGE = "it is measured on malignant tumours after the diagnosis, so that having a value tells"
_SOURCE = "it names the clinic, camera or batch, and each of those saw another share of cancers"
_IDENTITY = "an id tells the source and the order of collection, and with them the share of cancers"
_ABSENCE = (
    "whether a field is missing tells who was examined closely: in PAD-UFES-20 the patients without gender "
    "have no cancer, in HAM10000 lesions without a site are malignant less often"
)


@dataclass(frozen=True)
class Leak:
    """A column that no model may be given: its name, or a pattern with `*`, and why.

    `cohort` is the one data set in which it leaks, `None` where it leaks in any.
    """

    column: str
    why: str
    cohort: str | None = None


def _each(columns: str, why: str, cohort: str | None = None) -> tuple[Leak, ...]:
    return tuple(Leak(column, why, cohort) for column in columns.split())


LEAKS: tuple[Leak, ...] = (
    *_each("diagnosis diagnosis_* diagnostic dx disease label target class iddx_*", _ANSWER),
    *_each("official benign_malignant malignant melanocytic *_partition_label", _ANSWER),
    *_each("diagnosis_confirm_type dx_type concomitant_biopsy biopsed biopsied", _CONFIRMED),
    *_each("mel_thick_mm mel_ulcer mel_mitotic_index mel_type mel_class", _STAGE),
    *_each("attribution copyright_license dataset source split official_part", _SOURCE),
    *_each("isic_id image image_id image_name img_id patient_id lesion_id case_id case_num", _IDENTITY),
    *_each("missing_* *_missing *_is_missing *_isna *_known *_is_known", _ABSENCE),
    Leak("milk_class", _ANSWER, "milk10k"),
    Leak("split_isic2018", _SOURCE, "ham10000"),
    *_each("MEL NV BCC AK AKIEC BKL DF VASC SCC SCCKA UNK INF BEN_OTH MAL_OTH", _ANSWER),
    *_each("bcn_filename capture_date", _SOURCE, "bcn20000"),
    *_each("DDI_ID DDI_file", _IDENTITY, "ddi"),
    Leak("management", "what was done with the lesion was decided knowing its diagnosis", "derm7pt"),
    Leak("level_of_diagnostic_difficulty", "it was judged knowing the diagnosis", "derm7pt"),
    Leak(
        "seven_point_score", "it is another diagnostic rule's answer by an expert, not a finding", "derm7pt"
    ),
    *_each("derm clinic notes", "the name of a file or a note can hold the diagnosis", "derm7pt"),
    *_each(
        "url url_alphanum", "the address of the picture holds the name of the diagnosis", "fitzpatrick17k"
    ),
    *_each("md5hash qc", "it was made from the labelled picture", "fitzpatrick17k"),
    *_each("weighted_skin_condition_label dermatologist_skin_condition_*", _ANSWER, "scin"),
    Leak("dermatologist_gradable_*", "whether a diagnosis could be made is part of its answer", "scin"),
)
"""Columns by name, those of every set first. Upper and lower case are one."""


def leaks(names: Iterable[str], cohort: str | None = None) -> dict[str, str]:
    """Maps each name that leaks to the reason, in order; with a cohort only the leaks of that one count."""
    found: dict[str, str] = {}
    for name in names:
        for leak in LEAKS:
            here = cohort is None or leak.cohort in (None, cohort)
            if here and fnmatchcase(name.lower(), leak.column.lower()):
                found.setdefault(name, leak.why)
    return found


def refuse_leaking(names: Iterable[str], cohort: str | None = None) -> None:
    """Raises `LeakageError` naming each column that gives the diagnosis away, and why."""
    found = leaks(names, cohort)
    if found:
        listed = "; ".join(f"{name}: {why}" for name, why in found.items())
        raise LeakageError(f"not an input, since it gives the diagnosis away: {listed}; leave it out")
