"""Which data sets can be read by name, and how is each surveyed?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core.errors import CohortError, did_you_mean
from core.taxonomy import Taxonomy
from dxtree.cohorts.bcn20000 import BCN20000_OWN, survey_bcn20000
from dxtree.cohorts.ddi import DDI
from dxtree.cohorts.derm7pt import NAME as DERM7PT
from dxtree.cohorts.derm7pt import OFFICIAL, survey_derm7pt
from dxtree.cohorts.derm7pt import TITLE as DERM7PT_TITLE
from dxtree.cohorts.fitzpatrick17k import FITZPATRICK17K, FITZPATRICK17K_ESTEVA, survey_fitzpatrick17k
from dxtree.cohorts.flat import FlatSet
from dxtree.cohorts.ham10000 import HAM10000_OWN, survey_ham10000
from dxtree.cohorts.isic import Layout, survey_isic
from dxtree.cohorts.isic_2019 import ISIC_2019, survey_isic_2019
from dxtree.cohorts.isic_2020 import ISIC_2020, survey_isic_2020
from dxtree.cohorts.milk10k import survey_milk10k
from dxtree.cohorts.pad_ufes_20 import PAD_UFES_20
from dxtree.cohorts.public import ISIC, MILK10K
from dxtree.cohorts.scin import NAME as SCIN
from dxtree.cohorts.scin import TITLE as SCIN_TITLE
from dxtree.cohorts.scin import survey_scin
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.synthetic import FINE_SIGNAL, SYNTHETIC

Survey = Callable[[Path, Taxonomy], CohortSurvey]


@dataclass(frozen=True)
class Adapter:
    """One data set by name: how it is read, its own classes, and its malignant node, where it has one."""

    name: str
    title: str
    survey: Survey
    official_nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    malignant: str | None = "Malignant"


def _flat(flat: FlatSet, survey: Survey | None = None) -> Adapter:
    return Adapter(flat.name, flat.title, survey or flat.survey, flat.official_nodes, flat.malignant)


def _layout(layout: Layout, title: str, survey: Survey | None = None) -> Adapter:
    return Adapter(layout.name, title, survey or partial(survey_isic, layout=layout), layout.official_nodes)


ADAPTERS: Mapping[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        _layout(
            MILK10K,
            "MILK10k: a clinical close-up and a dermoscopic image of each lesion, 11 classes",
            survey_milk10k,
        ),
        _flat(HAM10000_OWN, survey_ham10000),
        _layout(ISIC, "Any folder in the layout of the ISIC archive"),
        _flat(PAD_UFES_20),
        Adapter(DERM7PT, DERM7PT_TITLE, survey_derm7pt, OFFICIAL),
        _flat(ISIC_2019, survey_isic_2019),
        _flat(ISIC_2020, survey_isic_2020),
        _flat(BCN20000_OWN, survey_bcn20000),
        _flat(FITZPATRICK17K, survey_fitzpatrick17k),
        _flat(FITZPATRICK17K_ESTEVA),
        _flat(DDI),
        Adapter(SCIN, SCIN_TITLE, survey_scin),
        _layout(SYNTHETIC, "Synthetic lesions with known truth, made by dxtree"),
        _layout(FINE_SIGNAL, "Synthetic lesions whose fine classes are known to carry a signal, or none"),
    )
}
"""Every data set that comes with dxtree, in the order in which lists show them."""


def survey_cohort(name: str, folder: str | Path, taxonomy: Taxonomy) -> CohortSurvey:
    """Reads a folder by the name of its data set, with a count of everything that could not be used.

    Raises `CohortError` for an unknown name, and for whatever in the folder cannot be read.
    """
    if name not in ADAPTERS:
        near = did_you_mean(name, ADAPTERS)
        raise CohortError(f"no data set {name!r} comes with dxtree; there are {', '.join(ADAPTERS)}{near}")
    return ADAPTERS[name].survey(Path(folder), taxonomy)
