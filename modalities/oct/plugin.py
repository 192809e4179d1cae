"""Optical coherence tomography of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "oct"
CARD = """Optical coherence tomography of one lesion: a volume of B-scans as multi-page TIFF of 8 or 16 bits,
DICOM multi-frame or NIfTI-1. Not for angiography maps, en-face slices or spectra. Each view is a B-scan and
its two neighbours, flattened along the surface, as decibels of a depth-resolved attenuation estimate (Vermeer
et al. 2014). No public image set could be had: there is no bundle trained on patients, and without a bundle
the modality refuses to diagnose. `dxtree train-simulated oct` fits one on
simulated files, for trying dxtree out and for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.oct.recipe import RECIPE
    from modalities.stacks.model import load_stack_model

    return load_stack_model(request, RECIPE)


def samples() -> list[bytes]:
    """Two simulated files, alike at every call."""
    import numpy as np

    from modalities.oct.simulate import draw

    kinds = ("melanoma", "basal cell carcinoma")
    return [draw(kind, np.random.default_rng([8, seed])) for seed, kind in enumerate(kinds)]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `oct`."""
    return [
        ModalitySpec(
            NAME,
            "Optical coherence tomography",
            load,
            needs_bundle=True,
            samples=samples,
            licence="Apache-2.0",
            card=CARD,
        )
    ]
