"""Multi-wavelength photoacoustic images of one lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "photoacoustic"
CARD = """Reconstructed photoacoustic sections of one lesion at three wavelengths or more between 650 and
950 nm, in the HDF5 format of IPASC. The net sees what linear unmixing finds of oxyhaemoglobin,
deoxyhaemoglobin and melanin after compensation of the fluence by one constant a wavelength. Not for raw
time series, nor for pictures of one or two wavelengths. No public set of such images of skin lesions was
found: without a bundle the modality refuses, and a bundle trained on simulations is for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.photoacoustic.recipe import RECIPE
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, RECIPE)


def samples() -> Sequence[bytes]:
    """Two simulated files."""
    import numpy as np

    from modalities.photoacoustic.recipe import RECIPE

    return [RECIPE.draw(kind, np.random.default_rng(n)) for n, (kind, _) in enumerate(RECIPE.kinds[:2])]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `photoacoustic`."""
    return [
        ModalitySpec(
            NAME, "Photoacoustic", load, needs_bundle=True, samples=samples, licence="Apache-2.0", card=CARD
        )
    ]
