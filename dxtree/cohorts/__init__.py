"""Data sets as lists of labelled images: public ones, any ISIC-style folder, and a synthetic one."""

from dxtree.cohorts.isic import Layout, official_class, read_isic
from dxtree.cohorts.public import HAM10000, ISIC, MILK10K
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

__all__ = [
    "FINE_SIGNAL",
    "HAM10000",
    "ISIC",
    "MILK10K",
    "SYNTHETIC",
    "FineSignal",
    "Layout",
    "SyntheticConfig",
    "SyntheticLesion",
    "fine_signal_taxonomy",
    "make_lesion",
    "official_class",
    "read_isic",
    "read_synthetic",
    "synthetic_taxonomy",
    "write_synthetic",
]
