"""Data sets as lists of labelled images: public ones, any ISIC-style folder, and a synthetic one."""

from dxtree.cohorts.isic import Layout, official_class, read_isic
from dxtree.cohorts.public import HAM10000, ISIC, MILK10K
from dxtree.cohorts.synthetic import (
    SYNTHETIC,
    SyntheticConfig,
    SyntheticLesion,
    make_lesion,
    read_synthetic,
    synthetic_taxonomy,
    write_synthetic,
)

__all__ = [
    "HAM10000",
    "ISIC",
    "MILK10K",
    "SYNTHETIC",
    "Layout",
    "SyntheticConfig",
    "SyntheticLesion",
    "make_lesion",
    "official_class",
    "read_isic",
    "read_synthetic",
    "synthetic_taxonomy",
    "write_synthetic",
]
