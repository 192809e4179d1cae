"""High-frequency ultrasound of one lesion."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "ultrasound"
CARD = """High-frequency ultrasound of one lesion in B-mode, 20 to 75 MHz: DICOM Ultrasound Image or
Ultrasound Multi-frame Image, grey or grey stored as RGB, and stills as PNG or TIFF. Not for colour Doppler,
colour-coded amplitudes or raw radio-frequency data. Skin is flattened along the entry echo, its loss with
depth compensated and speckle reduced. No public image set could be had: there is no bundle trained on
patients, and without a bundle the modality refuses to diagnose. `dxtree train-simulated ultrasound` fits one
on simulated files, for trying dxtree out and for no patient.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The net of the model set."""
    from modalities.stacks.model import load_stack_model
    from modalities.ultrasound.recipe import RECIPE

    return load_stack_model(request, RECIPE)


def samples() -> list[bytes]:
    """Two simulated files, alike at every call."""
    import numpy as np

    from modalities.ultrasound.simulate import draw

    kinds = ("melanoma", "basal cell carcinoma")
    return [draw(kind, np.random.default_rng([8, seed])) for seed, kind in enumerate(kinds)]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `ultrasound`."""
    return [
        ModalitySpec(
            NAME,
            "High-frequency ultrasound",
            load,
            needs_bundle=True,
            samples=samples,
            licence="Apache-2.0",
            card=CARD,
        )
    ]
