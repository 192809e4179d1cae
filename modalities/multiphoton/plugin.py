"""Multiphoton tomography of one lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "multiphoton"
CARD = """Multiphoton stacks of one lesion as OME-TIFF: two-photon autofluorescence and second harmonic, told
apart by wavelength. The net sees both channels and their balance (SAAID) in six planes over depth. Not for
fluorescence lifetimes, series over time, nor for stained tissue. No public set of such stacks of skin lesions
was found: without a bundle the modality refuses, and a bundle trained on simulations is for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.multiphoton.recipe import RECIPE
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, RECIPE)


def samples() -> Sequence[bytes]:
    """Two simulated files."""
    import numpy as np

    from modalities.multiphoton.recipe import RECIPE

    return [RECIPE.draw(kind, np.random.default_rng(n)) for n, (kind, _) in enumerate(RECIPE.kinds[:2])]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `multiphoton`."""
    return [
        ModalitySpec(
            NAME, "Multiphoton", load, needs_bundle=True, samples=samples, licence="Apache-2.0", card=CARD
        )
    ]
