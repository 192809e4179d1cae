"""Terahertz reflection scans of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "terahertz"
CARD = """Terahertz time-domain reflection scans of one lesion against a mirror, in the dotTHz format. The net
sees the reflection at six bands from .2 to 1.2 THz and the index and absorption of a half space that would
reflect so. Not for transmission, nor for contact through a window. No public set of such scans of skin
lesions was found: without a bundle the modality refuses, and a bundle trained on simulations is for no
patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.terahertz.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `terahertz`."""
    return [modality_from_recipe(NAME, "Terahertz", recipe, CARD)]
