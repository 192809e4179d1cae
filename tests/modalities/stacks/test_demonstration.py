"""Does a net that was fitted to simulated lesions tell other simulated lesions apart?"""

from __future__ import annotations

from pathlib import Path

import pytest

from modalities.oct.recipe import RECIPE as OCT
from modalities.sets.plugin import HERE
from modalities.stacks.fitting import fit_simulated
from modalities.stacks.recipe import StackRecipe
from modalities.ultrasound.recipe import RECIPE as ULTRASOUND
from plugins.model_set import ModelSet

pytest.importorskip("torch", reason="the extra train is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [OCT, ULTRASOUND], ids=lambda recipe: recipe.name)
def test_a_net_fitted_to_simulations_is_better_than_chance_and_not_perfect(
    recipe: StackRecipe, tmp_path: Path
) -> None:
    partition = ModelSet.open(HERE / "demonstration").partition
    judged = fit_simulated(recipe, partition, tmp_path / "bundle", lesions=800, epochs=16).judged
    assert judged.classes == len(recipe.kinds)
    assert judged.chance == 1 / judged.classes
    assert judged.low > 0.4
    assert judged.high < 1
