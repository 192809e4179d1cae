"""Multi-wavelength photoacoustic images of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "photoacoustic"
CARD = """Reconstructed photoacoustic sections of one lesion at three wavelengths or more between 650 and
950 nm, in the HDF5 format of IPASC. The net sees what linear unmixing finds of oxyhaemoglobin,
deoxyhaemoglobin and melanin after compensation of the fluence by one constant a wavelength. Not for raw
time series, nor for pictures of one or two wavelengths. No public set of such images of skin lesions was
found: without a bundle the modality refuses, and a bundle trained on simulations is for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.photoacoustic.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `photoacoustic`."""
    return [modality_from_recipe(NAME, "Photoacoustic", recipe, CARD)]
