"""Do the spectral modalities keep a plugin's promises, and does a net tell what was simulated?"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from core.errors import ContractError
from core.taxonomy import Taxonomy
from modalities.multiphoton.recipe import RECIPE as MULTIPHOTON
from modalities.photoacoustic.recipe import RECIPE as PHOTOACOUSTIC
from modalities.sets.plugin import HERE
from modalities.stacks.fitting import fit_simulated
from modalities.stacks.model import load_stack_model
from modalities.stacks.recipe import StackRecipe
from modalities.terahertz.recipe import RECIPE as TERAHERTZ
from plugins.conformance import PluginContract
from plugins.model_set import ModelSet
from plugins.specs import ModelRequest
from tests.modalities.simulated import findings_on_fitted

pytest.importorskip("torch")
DEMONSTRATION = ModelSet.open(HERE / "demonstration")
UNFITTED = {"offered": "no bundle ships: none was trained on patients"}
RECIPES = {r.name: r for r in (MULTIPHOTON, PHOTOACOUSTIC, TERAHERTZ)}


class TestMultiphoton(PluginContract):
    plugin = "multiphoton"
    expected_failures: ClassVar = UNFITTED


class TestPhotoacoustic(PluginContract):
    plugin = "photoacoustic"
    expected_failures: ClassVar = UNFITTED


class TestTerahertz(PluginContract):
    plugin = "terahertz"
    expected_failures: ClassVar = UNFITTED


@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(MULTIPHOTON, marks=pytest.mark.slow),
        pytest.param(PHOTOACOUSTIC, marks=pytest.mark.slow),
        TERAHERTZ,
    ],
    ids=list(RECIPES),
)
def test_with_a_bundle_it_keeps_every_promise(recipe: StackRecipe) -> None:
    findings = findings_on_fitted(recipe.name)
    assert not [(f.check, f.detail) for f in findings if not f.passed]
    assert len(findings) > 20


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_without_a_bundle_it_refuses(recipe: StackRecipe) -> None:
    with pytest.raises(ContractError, match=f"train-simulated {recipe.name}"):
        load_stack_model(ModelRequest(DEMONSTRATION.partition), recipe)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_a_net_tells_other_simulated_lesions_apart_better_than_chance(
    recipe: StackRecipe, tmp_path: Path
) -> None:
    judged = fit_simulated(recipe, DEMONSTRATION.partition, tmp_path, lesions=400, epochs=16).judged
    assert judged.low > judged.chance == pytest.approx(1 / 3)
    assert judged.high < 1


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_each_kind_has_a_node_in_both_trees(recipe: StackRecipe) -> None:
    isic = Taxonomy.shipped("isic_diagnosis")
    for _, nodes in recipe.kinds:
        assert nodes[0] in DEMONSTRATION.partition.taxonomy
        assert nodes[1] in isic
