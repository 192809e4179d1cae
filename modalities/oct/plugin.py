"""Optical coherence tomography of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "oct"
CARD = """Optical coherence tomography of one lesion: a volume of B-scans as multi-page TIFF of 8 or 16 bits,
DICOM multi-frame or NIfTI-1. Not for angiography maps, en-face slices or spectra. Each view is a B-scan and
its two neighbours, flattened along the surface, as decibels of a depth-resolved attenuation estimate (Vermeer
et al. 2014). No public image set could be had: there is no bundle trained on patients, and without a bundle
the modality refuses to diagnose. `dxtree train-simulated oct` fits one on
simulated files, for trying dxtree out and for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.oct.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `oct`."""
    return [modality_from_recipe(NAME, "Optical coherence tomography", recipe, CARD)]
