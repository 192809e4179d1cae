"""Which data sets and trees come with dxtree? They enter through the same door as a stranger's."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from core.cohort import LabelledImage
from core.taxonomy import Taxonomy
from dxtree.cohorts.adapters import ADAPTERS, Survey
from dxtree.cohorts.synthetic import fine_signal_taxonomy, synthetic_taxonomy
from plugins import CohortSpec, TaxonomySpec, hookimpl

_LOG = logging.getLogger("dxtree.cohorts")


@hookimpl
def dxtree_cohorts() -> Iterable[CohortSpec]:
    """Offers every adapter of `dxtree.cohorts` by its name."""
    return [
        CohortSpec(a.name, a.title, partial(_read, a.survey), a.official_nodes, a.malignant)
        for a in ADAPTERS.values()
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


def _read(survey: Survey, folder: Path, taxonomy: Taxonomy) -> list[LabelledImage]:
    """The images that have a place in the tree; what has none is said on the standard error, not dropped."""
    found = survey(folder, taxonomy)
    if found.lost:
        for line in found.lines():
            _LOG.warning("%s", line)
    return list(found.images)
