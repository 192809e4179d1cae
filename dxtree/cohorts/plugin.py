"""Which data sets and trees come with dxtree? They enter through the same door as a stranger's."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from core.cohort import LabelledImage
from core.taxonomy import Taxonomy
from dxtree.cohorts.isic import Layout, read_isic
from dxtree.cohorts.public import HAM10000, ISIC, MILK10K
from dxtree.cohorts.synthetic import FINE_SIGNAL, SYNTHETIC, fine_signal_taxonomy, synthetic_taxonomy
from plugins import CohortSpec, TaxonomySpec, hookimpl

_TITLES = (
    (MILK10K, "MILK10k: a clinical close-up and a dermoscopic image of each lesion, 11 classes"),
    (HAM10000, "HAM10000: dermoscopic images, 7 classes"),
    (ISIC, "Any folder in the layout of the ISIC archive"),
    (SYNTHETIC, "Synthetic lesions with known truth, made by dxtree"),
    (FINE_SIGNAL, "Synthetic lesions whose fine classes are known to carry a signal, or none"),
)


@hookimpl
def dxtree_cohorts() -> Iterable[CohortSpec]:
    """Offers `milk10k`, `ham10000`, `isic`, `synthetic` and `fine_signal`."""
    return [
        CohortSpec(layout.name, title, partial(_read, layout), layout.official_nodes)
        for layout, title in _TITLES
    ]


@hookimpl
def dxtree_taxonomies() -> Iterable[TaxonomySpec]:
    """Offers `isic_diagnosis`, `esteva_2017`, `synthetic` and `fine_signal`."""
    return [
        TaxonomySpec("isic_diagnosis", "ISIC diagnoses", partial(Taxonomy.shipped, "isic_diagnosis")),
        TaxonomySpec("esteva_2017", "Esteva et al. 2017, 3 / 9", partial(Taxonomy.shipped, "esteva_2017")),
        TaxonomySpec("synthetic", "Invented diagnoses of the synthetic cohort", synthetic_taxonomy),
        TaxonomySpec("fine_signal", "Invented classes of the cohorts of known signal", fine_signal_taxonomy),
    ]


def _read(layout: Layout, folder: Path, taxonomy: Taxonomy) -> list[LabelledImage]:
    return read_isic(folder, taxonomy, layout)
