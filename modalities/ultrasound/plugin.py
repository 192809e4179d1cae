"""High-frequency ultrasound of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from modalities.stacks import StackRecipe, modality_from_recipe
from plugins import ModalitySpec, hookimpl

NAME = "ultrasound"
CARD = """High-frequency ultrasound of one lesion in B-mode, 20 to 75 MHz: DICOM Ultrasound Image or
Ultrasound Multi-frame Image, grey or grey stored as RGB, and stills as PNG or TIFF. Not for colour Doppler,
colour-coded amplitudes or raw radio-frequency data. Skin is flattened along the entry echo, its loss with
depth compensated and speckle reduced. No public image set could be had: there is no bundle trained on
patients, and without a bundle the modality refuses to diagnose. `dxtree train-simulated ultrasound` fits one
on simulated files, for trying dxtree out and for no patient.
"""


def recipe() -> StackRecipe:
    """How its files become views."""
    from modalities.ultrasound.recipe import RECIPE

    return RECIPE


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `ultrasound`."""
    return [modality_from_recipe(NAME, "High-frequency ultrasound", recipe, CARD)]
