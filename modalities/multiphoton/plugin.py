"""Multiphoton tomography of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "multiphoton"
CARD = """Multiphoton stacks of one lesion as OME-TIFF: two-photon autofluorescence and second harmonic, told
apart by wavelength. The net sees both channels and their balance (SAAID) in six planes over depth. Not for
fluorescence lifetimes, series over time, nor for stained tissue. No public set of such stacks of skin lesions
was found: without a bundle the modality refuses, and a bundle trained on simulations is for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.multiphoton.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `multiphoton`."""
    return [modality_from_recipe(NAME, "Multiphoton", recipe, CARD)]
