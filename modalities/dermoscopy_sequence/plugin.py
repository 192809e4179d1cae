"""Dermoscopic pictures of one lesion at several dates."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "dermoscopy_sequence"
CARD = """Dermoscopic pictures of one lesion at two dates or more, taken with one dermatoscope at one
magnification, as pages of a TIFF with a date each. Dates are laid on the first by rotation and shift alone,
and brought into its light; what changed is shown to the net beside the pictures. An unknown date stays
unknown. Not for pictures of several lesions, nor of several magnifications. No public set of sequences was
used: there is no bundle trained on patients, and without one the modality refuses. One that
`dxtree train-simulated` fits has seen drawn lesions only and is for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.dermoscopy_sequence.recipe import RECIPE
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, RECIPE)


def samples() -> list[bytes]:
    """Two simulated files, alike at every call."""
    import numpy as np

    from modalities.dermoscopy_sequence.simulate import draw

    return [draw(kind, np.random.default_rng([8, k])) for k, kind in enumerate(("nevus", "melanoma"))]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `dermoscopy_sequence`."""
    return [
        ModalitySpec(
            NAME,
            "Sequential dermoscopy",
            load,
            needs_bundle=True,
            card=CARD,
            samples=samples,
            licence="Apache-2.0",
        )
    ]
