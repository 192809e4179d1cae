"""Dermoscopic pictures of one lesion at several dates."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "dermoscopy_sequence"
CARD = """Dermoscopic pictures of one lesion at two dates or more, taken with one dermatoscope at one
magnification, as pages of a TIFF with a date each. Dates are laid on the first by rotation and shift alone,
and brought into its light; what changed is shown to the net beside the pictures. An unknown date stays
unknown. Not for pictures of several lesions, nor of several magnifications. No public set of sequences was
used: there is no bundle trained on patients, and without one the modality refuses. One that
`dxtree train-simulated` fits has seen drawn lesions only and is for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.dermoscopy_sequence.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `dermoscopy_sequence`."""
    return [modality_from_recipe(NAME, "Sequential dermoscopy", recipe, CARD)]
