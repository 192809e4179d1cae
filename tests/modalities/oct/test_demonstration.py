"""Does a net that was fitted to simulated lesions tell other simulated lesions apart?"""

from __future__ import annotations

from pathlib import Path

import pytest

from modalities.oct.recipe import RECIPE
from modalities.sets.plugin import HERE
from modalities.stacks.fitting import fit_simulated
from plugins.model_set import ModelSet

pytest.importorskip("torch", reason="the extra train is not installed")


@pytest.mark.slow
def test_a_net_fitted_to_simulations_is_better_than_chance_and_not_perfect(tmp_path: Path) -> None:
    partition = ModelSet.open(HERE / "demonstration").partition
    judged = fit_simulated(RECIPE, partition, tmp_path / "bundle", lesions=800, epochs=16).judged
    assert judged.classes == len(RECIPE.kinds)
    assert judged.chance == 1 / judged.classes
    assert judged.low > 0.4
    assert judged.high < 1
