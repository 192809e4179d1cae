"""Whole slides of one lesion, stained with haematoxylin and eosin."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "histopathology"
CARD = """Whole-slide images of one lesion's sections, stained with haematoxylin and eosin, scanned at 1
micrometre a pixel or finer. Not for frozen sections, other stains, immunohistochemistry or pictures
taken through an eyepiece. A slide that does not say its micrometres a pixel is refused. At
most 12 tiles of 128 micrometres stand for the slide: a small focus can lie between them. No public set of
slides was used: there is no bundle trained on patients, and without one the modality refuses. One that
`dxtree train-simulated` fits has seen drawn sections only and is for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.histopathology.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `histopathology`."""
    return [modality_from_recipe(NAME, "Histopathology", recipe, CARD)]
