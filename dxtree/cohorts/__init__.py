"""Data sets as lists of labelled images: public ones, any ISIC-style folder, and a synthetic one."""

from dxtree.cohorts.adapters import ADAPTERS, Adapter, survey_cohort
from dxtree.cohorts.isic import Layout, official_class, read_isic
from dxtree.cohorts.leaking import LEAKS, Leak, leaks, refuse_leaking
from dxtree.cohorts.public import BCN20000, HAM10000, ISIC, MILK10K
from dxtree.cohorts.survey import CohortSurvey
from dxtree.cohorts.synthetic import (
    FINE_SIGNAL,
    SYNTHETIC,
    FineSignal,
    SyntheticConfig,
    SyntheticLesion,
    fine_signal_taxonomy,
    make_lesion,
    read_synthetic,
    synthetic_taxonomy,
    write_synthetic,
)
from dxtree.cohorts.traps import TRAPS, traps

__all__ = [
    "ADAPTERS",
    "BCN20000",
    "FINE_SIGNAL",
    "HAM10000",
    "ISIC",
    "LEAKS",
    "MILK10K",
    "SYNTHETIC",
    "TRAPS",
    "Adapter",
    "CohortSurvey",
    "FineSignal",
    "Layout",
    "Leak",
    "SyntheticConfig",
    "SyntheticLesion",
    "fine_signal_taxonomy",
    "leaks",
    "make_lesion",
    "official_class",
    "read_isic",
    "read_synthetic",
    "refuse_leaking",
    "survey_cohort",
    "synthetic_taxonomy",
    "traps",
    "write_synthetic",
]
