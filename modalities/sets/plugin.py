"""The model sets that come with this distribution."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from plugins import ModelSetSpec, hookimpl

HERE = Path(__file__).parent


@hookimpl
def dxtree_model_sets() -> Iterable[ModelSetSpec]:
    """Offers `default`, trained on real lesions, and `demonstration`, trained on drawn ones."""
    return [
        ModelSetSpec("default", "MILK10k and HAM10000, clinical and dermoscopy, ISIC tree", HERE / "default"),
        ModelSetSpec("demonstration", "The synthetic cohort; for trying dxtree out", HERE / "demonstration"),
    ]
