"""Which case can be tried at one click? A drawn lesion of the synthetic cohort, nobody's picture."""

from __future__ import annotations

import base64
from collections.abc import Collection
from functools import cache
from typing import Any

SEED, INDEX = 7, 3
MODALITIES = ("clinical", "dermoscopy")


def sample(modalities: Collection[str]) -> dict[str, Any] | None:
    """The case as JSON in the form of `POST /v1/diagnose`; `None` where no model would read its images."""
    whole = _drawn()
    images = [image for image in whole["images"] if image["modality"] in modalities]
    return {**whole, "images": images} if images else None


@cache
def _drawn() -> dict[str, Any]:
    from dxtree.cohorts.synthetic import make_lesion

    lesion = make_lesion(SEED, INDEX)
    return {
        "patient": lesion.patient.model_dump(),
        "images": [
            {"modality": view, "data": base64.b64encode(data).decode("ascii")}
            for view, data in sorted(lesion.jpegs.items())
        ],
    }
