"""Does a simulator say which extra it needs, where that is not installed?"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from core.errors import MissingExtra
from modalities.stacks.finding import find_recipe


@pytest.mark.parametrize(
    ("modality", "library"), [("multiphoton", "tifffile"), ("photoacoustic", "h5py"), ("terahertz", "h5py")]
)
def test_a_simulator_without_its_library_names_the_extra(
    modality: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = find_recipe(modality)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"dxtree\[spectral\]"):
        recipe.draw(recipe.kinds[0][0], np.random.default_rng(0))
