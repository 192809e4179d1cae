"""Terahertz reflection scans of one lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "terahertz"
CARD = """Terahertz time-domain reflection scans of one lesion against a mirror, in the dotTHz format. The net
sees the reflection at six bands from .2 to 1.2 THz and the index and absorption of a half space that would
reflect so. Not for transmission, nor for contact through a window. No public set of such scans of skin
lesions was found: without a bundle the modality refuses, and a bundle trained on simulations is for no
patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.stacks.model import load_stack_model
    from modalities.terahertz.recipe import RECIPE

    return load_stack_model(request, RECIPE)


def samples() -> Sequence[bytes]:
    """Two simulated files."""
    import numpy as np

    from modalities.terahertz.recipe import RECIPE

    return [RECIPE.draw(kind, np.random.default_rng(n)) for n, (kind, _) in enumerate(RECIPE.kinds[:2])]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `terahertz`."""
    return [
        ModalitySpec(
            NAME, "Terahertz", load, needs_bundle=True, samples=samples, licence="Apache-2.0", card=CARD
        )
    ]
