"""Dermoscopic (surface microscopy) images of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "dermoscopy"


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.cnn.model import load_model

    return load_model(request, NAME)


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `dermoscopy`."""
    return [ModalitySpec(NAME, "Dermoscopy", load, needs_bundle=True)]
