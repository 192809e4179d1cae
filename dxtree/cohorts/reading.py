"""Which images do the cohorts hold that a command names?"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

from core.cohort import LabelledImage
from core.errors import CohortError
from core.taxonomy import Taxonomy
from plugins.registry import Registry, guarded


def read_cohorts(registry: Registry, given: Iterable[str], taxonomy: Taxonomy) -> list[LabelledImage]:
    """Reads cohorts given as ``NAME=FOLDER``. Raises `CohortError` for another form."""
    images: list[LabelledImage] = []
    for text in given:
        name, separator, folder = text.partition("=")
        if not separator or not folder:
            raise CohortError(f"a cohort is given as NAME=FOLDER, not {text!r}")
        spec = registry.cohorts.get(name)
        images += guarded(f"cohort {name!r}", partial(spec.read, Path(folder), taxonomy))
    return images
