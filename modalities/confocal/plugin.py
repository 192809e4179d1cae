"""Reflectance confocal microscopy of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "confocal"
CARD = """Reflectance confocal microscopy of one lesion in vivo: stacks over depth, single planes and mosaics,
as TIFF, PNG, BMP or DICOM. Not for fluorescence, for excised tissue, nor for movies. Light lost with depth
and towards the edge of a field is made up for, and a net reads planes at the layers of the skin, or evenly
where the file does not say how deep they lie. There is no bundle trained on patients, and without a bundle
the modality refuses to diagnose. `dxtree train-simulated confocal` fits one on simulated stacks, for trying
dxtree out and for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.confocal.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `confocal`."""
    return [modality_from_recipe(NAME, "Reflectance confocal microscopy", recipe, CARD)]
