"""Whole slides of one lesion, stained with haematoxylin and eosin."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "histopathology"
CARD = """Whole-slide images of one lesion's sections, stained with haematoxylin and eosin, scanned at 1
micrometre a pixel or finer. Not for frozen sections, other stains, immunohistochemistry or pictures
taken through an eyepiece. A slide that does not say its micrometres a pixel is refused. At
most 12 tiles of 128 micrometres stand for the slide: a small focus can lie between them. No public set of
slides was used: there is no bundle trained on patients, and without one the modality refuses. One that
`dxtree train-simulated` fits has seen drawn sections only and is for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set. Raises `MissingExtra` without OpenSlide when a slide is read."""
    from modalities.histopathology.recipe import RECIPE
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, RECIPE)


def samples() -> list[bytes]:
    """Two simulated slides, alike at every call."""
    import numpy as np

    from modalities.histopathology.simulate import draw

    return [draw(kind, np.random.default_rng([8, k])) for k, kind in enumerate(("nevus", "melanoma"))]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `histopathology`."""
    return [
        ModalitySpec(
            NAME, "Histopathology", load, needs_bundle=True, card=CARD, samples=samples, licence="Apache-2.0"
        )
    ]
