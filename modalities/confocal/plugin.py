"""Reflectance confocal microscopy of one lesion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "confocal"
CARD = """Reflectance confocal microscopy of one lesion in vivo: stacks over depth, single planes and mosaics,
as TIFF, PNG, BMP or DICOM. Not for fluorescence, for excised tissue, nor for movies. Light lost with depth
and towards the edge of a field is made up for, and a net reads planes at the layers of the skin, or evenly
where the file does not say how deep they lie. There is no bundle trained on patients, and without a bundle
the modality refuses to diagnose. `dxtree train-simulated confocal` fits one on simulated stacks, for trying
dxtree out and for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.confocal.recipe import RECIPE
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, RECIPE)


def samples() -> Sequence[bytes]:
    """Two simulated stacks, alike at every call."""
    import numpy as np

    from modalities.confocal.recipe import RECIPE

    return [RECIPE.draw(kind, np.random.default_rng(n)) for n, (kind, _) in enumerate(RECIPE.kinds[:2])]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `confocal`."""
    title = "Reflectance confocal microscopy"
    about = {"licence": "Apache-2.0", "card": CARD}
    return [ModalitySpec(NAME, title, load, needs_bundle=True, samples=samples, **about)]
