"""SCIN: how do cases with up to three photographs and a weighted differential become labelled images?

Ward et al., JAMA Network Open 7:e2446615 (2024), arXiv 2402.18545; github.com/google-research-datasets/scin.
"""

from __future__ import annotations

from ast import literal_eval as literal
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.case import PatientMetadata, body_sites
from core.errors import CohortError
from core.taxonomy import Taxonomy
from dxtree.cohorts.flat import bare
from dxtree.cohorts.gathering import Record, gather
from dxtree.cohorts.labels import ISIC, Labels, common_node, shipped_nodes
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.tables import ImageFiles, Row, find_table, read_rows
from dxtree.cohorts.terms import CAPITAL_SEXES, meaning

NAME = "scin"
TITLE = "SCIN: photographs that users of a search engine gave, with dermatologists' differentials"

BODY_PARTS: Mapping[str, str | None] = {
    "head_or_neck": "head_neck",
    "arm": "upper_extremity",
    "palm": "palm",
    "back_of_hand": "hand",
    "torso_front": "anterior_torso",
    "torso_back": "posterior_torso",
    # the groin is not genital, and no node lies above both
    "genitalia_or_groin": None,
    "buttocks": "buttock",
    "leg": "lower_extremity",
    "foot_top_or_side": "foot",
    "foot_sole": "sole",
    "other": None,
}
"""The columns `body_parts_...` and the node of `body_sites` that each means."""

KNOWN_ABSENT = frozenset({"-2243186711511406658"})
"""A photograph that the tables name and the published storage does not hold, as users of the set report."""

_CASES, _TRUTH = "scin_cases.csv", "scin_labels.csv"
_WEIGHTS = "weighted_skin_condition_label"
_PATHS = ("image_1_path", "image_2_path", "image_3_path")
_SHARED = "one photograph in several cases, so that its truth is not one"
_ABSENT = "not in the published storage"
_MARKS = {"YES": True, "NO": False, "": False}
_TYPES = {f"FST{k}": str(k) for k in range(1, 7)}
_MONK = "monk_skin_tone_label_us"
_OR = " or "


@dataclass(frozen=True)
class _Case:
    """A case with its place, its row, the conditions that weigh most, all where several do, and skin tone."""

    where: str
    row: Row
    top: tuple[str, ...]
    monk: str


def survey_scin(folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Joins `scin_cases.csv` with `scin_labels.csv` and finds the photographs of every case.

    A case is labelled with the condition of the greatest weight. Where several weigh the same, the label is
    the deepest node above all of them, and without one the case is unmapped. Raises `CohortError` naming
    file, line and column for whatever cannot be read or joined.
    """
    root = Path(folder)
    cases = _cases(root)
    known = shipped_nodes(NAME)
    tied = {_OR.join(c.top).lower(): _above(c.top, known, taxonomy) for c in cases if len(c.top) > 1}
    labels = Labels({ISIC: known | tied}, closed=False, any_case=True)
    return gather(NAME, _records(cases), labels, taxonomy, ImageFiles(root))


def _above(top: tuple[str, ...], known: Mapping[str, str | None], taxonomy: Taxonomy) -> str | None:
    nodes = [known.get(condition.lower()) for condition in top]
    placed = [node for node in nodes if node is not None and node in taxonomy]
    return common_node(placed, taxonomy) if len(placed) == len(top) else None


def _cases(root: Path) -> list[_Case]:
    truth: dict[str, tuple[tuple[str, ...], str]] = {}
    for where, row in read_rows(find_table(root, (_TRUTH,), NAME), NAME, ("case_id", _WEIGHTS, _MONK)):
        if not row["case_id"] or row["case_id"] in truth:
            raise CohortError(f"{where}: case_id is empty or stands twice; each case has one line")
        truth[row["case_id"]] = _top(row[_WEIGHTS], where), row[_MONK].removesuffix(".0")
    parts = (f"body_parts_{part}" for part in BODY_PARTS)
    needed = ("case_id", "age_group", "sex_at_birth", "fitzpatrick_skin_type", *_PATHS, *parts)
    found, seen = [], set()
    for where, row in read_rows(find_table(root, (_CASES,), NAME), NAME, needed):
        if row["case_id"] in seen or row["case_id"] not in truth:
            raise CohortError(f"{where}: case_id stands twice or not in {_TRUTH}; give tables of one release")
        seen.add(row["case_id"])
        found.append(_Case(where, row, *truth[row["case_id"]]))
    return found


def _top(text: str, where: str) -> tuple[str, ...]:
    """The conditions of the greatest weight, sorted.

    The column holds a dictionary as Python writes it; only literals are read, and nothing runs.
    """
    try:
        weights = {str(name): float(weight) for name, weight in literal(text or "{}").items()}
        best = max(weights.values(), default=0.0)
        return tuple(sorted(name for name, weight in weights.items() if weight == best))
    except (ValueError, SyntaxError, AttributeError, TypeError, MemoryError, RecursionError):
        raise CohortError(f"{where}: {_WEIGHTS} must map conditions to weights; download it again") from None


def _records(cases: list[_Case]) -> Iterator[Record]:
    times = Counter(name for case in cases for name in {bare(case.row[path]) for path in _PATHS})
    once: set[str] = set()
    for case in cases:
        patient, unplaced = _patient(case)
        for number, path in enumerate(_PATHS, start=1):
            name = bare(case.row[path])
            if not name or name in once:
                continue
            once.add(name)
            shared = times[name] > 1
            yield Record(
                where=case.where,
                image=f"SCIN_{name}",
                file=case.row[path],
                column=path,
                lesion=f"SCIN_{case.row['case_id']}",
                modality="clinical",
                label=_OR.join(case.top),
                labelled=_WEIGHTS,
                patient=patient,
                unplaced=unplaced,
                groups=_groups(case),
                overview=case.row.get(f"image_{number}_shot_type") == "AT_DISTANCE",
                left_out=_SHARED if shared else _ABSENT if name in KNOWN_ABSENT else "",
            )


def _groups(case: _Case) -> Mapping[str, str]:
    given = {
        "fitzpatrick": _TYPES.get(case.row["fitzpatrick_skin_type"]),
        "age_group": case.row["age_group"],
        "monk": case.monk,
    }
    return {name: value for name, value in given.items() if value and value != "AGE_UNKNOWN"}


def _patient(case: _Case) -> tuple[PatientMetadata, str]:
    """Sex and site, and the word for a site without a node. An age group is no age, so no age is known."""
    marked = [p for p in BODY_PARTS if meaning(case.row, case.where, f"body_parts_{p}", _MARKS)]
    nodes = [BODY_PARTS[part] for part in marked]
    placed = [node for node in nodes if node is not None]
    site = common_node(placed, body_sites()) if len(placed) == len(nodes) else None
    sex = meaning(case.row, case.where, "sex_at_birth", CAPITAL_SEXES)
    return PatientMetadata(sex=sex, site=site), "" if site or not marked else " + ".join(marked)
