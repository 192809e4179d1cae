"""Named scores of one lesion: MONET's concepts and the 7-point checklist."""

from __future__ import annotations

from collections.abc import Iterable

from core.protocols import ModalityModel
from plugins import ModalitySpec, ModelRequest, hookimpl

NAME = "concepts"
CARD = """Scores from 0 to 1 of named concepts of one lesion, in place of pixels, as a small JSON or CSV file:
the seven that MONET gives images, and the seven of the 7-point checklist. What is missing stays missing:
it is integrated out. Whether a criterion is present is a reader's answer, with all they disagree about.
Without a bundle the modality refuses to diagnose; `dxtree fit-concepts` fits one to a table.
"""


def load(request: ModelRequest) -> ModalityModel:
    """The discriminant of the model set."""
    from modalities.concepts.model import load_model

    return load_model(request)


def samples() -> list[bytes]:
    """Three files: JSON, JSON with a gap, and CSV."""
    return [
        b'{"pigmented": 0.91, "hair": 0.12, "erythema": 0.2, "ulceration_crust": 0.05}',
        b'{"MONET_pigmented": 0.08, "MONET_erythema": 0.83, "MONET_hair": null, "blue_whitish_veil": 0}',
        b"ulceration_crust,vasculature_vessels,pigmented\n0.8,0.66,\n",
    ]


@hookimpl
def dxtree_modalities() -> Iterable[ModalitySpec]:
    """Offers the modality `concepts`."""
    return [
        ModalitySpec(
            NAME,
            "Concept scores and the 7-point checklist",
            load,
            needs_bundle=True,
            samples=samples,
            licence="Apache-2.0",
            card=CARD,
        )
    ]
