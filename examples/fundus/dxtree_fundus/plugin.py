"""What does this distribution bring? A modality, a tree of eye diseases, two cohorts and a model set."""

from __future__ import annotations

from pathlib import Path

from core.protocols import ModalityModel
from core.taxonomy import Taxonomy
from plugins import CohortSpec, ModalitySpec, ModelRequest, ModelSetSpec, TaxonomySpec, hookimpl

DXTREE_API_VERSION = "1.0"
HERE = Path(__file__).parent
NAME = "fundus"
CARD = (HERE / "card.md").read_text("utf-8")


def _load(request: ModelRequest) -> ModalityModel:
    from dxtree_fundus.model import load

    return load(request)


def _taxonomy() -> Taxonomy:
    from dxtree_fundus.tree import taxonomy

    return taxonomy()


@hookimpl
def dxtree_modalities() -> list[ModalitySpec]:
    """Offers `fundus`."""
    title = "Colour fundus photograph"
    return [ModalitySpec(NAME, title, _load, needs_bundle=True, licence="Apache-2.0", card=CARD)]


@hookimpl
def dxtree_taxonomies() -> list[TaxonomySpec]:
    """Offers `eye_fundus`."""
    return [TaxonomySpec("eye_fundus", "Diseases that a fundus photograph shows", _taxonomy)]


@hookimpl
def dxtree_cohorts() -> list[CohortSpec]:
    """Offers `aptos_2019` and `odir_5k`."""
    from dxtree_fundus import cohorts

    return [
        CohortSpec(
            "aptos_2019",
            "APTOS 2019: grades of diabetic retinopathy",
            cohorts.read_aptos,
            cohorts.APTOS_OFFICIAL,
            malignant=None,
        ),
        CohortSpec(
            "odir_5k",
            "ODIR-5K: both eyes of a patient, keywords by eye",
            cohorts.read_odir,
            malignant=None,
        ),
    ]


@hookimpl
def dxtree_model_sets() -> list[ModelSetSpec]:
    """Offers `fundus-demonstration`, trained on drawn eyes."""
    return [ModelSetSpec("fundus-demonstration", "Drawn eyes; it knows no patient", HERE / "models")]
