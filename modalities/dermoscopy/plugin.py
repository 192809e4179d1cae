"""Dermoscopic (surface microscopy) images of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "dermoscopy"
CARD = """Dermoscopic images of one lesion, polarised or not, contact or not. Not for nails or mucosa, nor for
pictures taken without a dermatoscope. What the net was trained on, how good it is and where it fails stands
in the card of the model set.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.cnn.model import load_model

    return load_model(request, NAME)


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `dermoscopy`."""
    return [ModalitySpec(NAME, "Dermoscopy", load, needs_bundle=True, card=CARD)]
