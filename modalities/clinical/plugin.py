"""Clinical close-up photographs of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "clinical"
CARD = """Close-up photographs of one lesion, by camera or phone, in focus, without a dermatoscope. Not for
pictures of a whole body, nails or mucosa. What the net was trained on, how good it is and where it fails
stands in the card of the model set.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.cnn.model import load_model

    return load_model(request, NAME)


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `clinical`."""
    return [ModalitySpec(NAME, "Clinical close-up photograph", load, needs_bundle=True, card=CARD)]
