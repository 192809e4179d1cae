"""Is a net over views a model like any other, fitted to simulations and honest about it?"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.case import ImageInput
from core.errors import ContractError, CorruptImage, TrainingError
from core.protocols import Evidence, ModalityModel
from fusion.ratio import Ratios
from modalities.sets.plugin import HERE
from modalities.stacks.fitting import Fitted, fit_simulated
from modalities.stacks.model import StackModel, load_stack_model
from modalities.stacks.recipe import StackRecipe
from plugins.model_set import ModelSet
from plugins.specs import ModelRequest

pytest.importorskip("torch")
PARTITION = ModelSet.open(HERE / "demonstration").partition
SEEN = ("Benign:Melanocytic nevus:Common nevus", "Malignant:Melanoma:Nodular melanoma")


@pytest.fixture(scope="module")
def fitted(stripes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    folder = tmp_path_factory.mktemp("bundle")
    return fit_simulated(stripes.RECIPE, PARTITION, folder, lesions=120, epochs=5)


@pytest.fixture(scope="module")
def model(stripes: ModuleType, fitted: Fitted) -> StackModel:
    return load_stack_model(ModelRequest(PARTITION, fitted.bundle), stripes.RECIPE)


def drawn(stripes: ModuleType, kind: str, seed: int = 0) -> ImageInput:
    return ImageInput(modality="stripes", data=stripes.draw(kind, np.random.default_rng(seed)))


def test_a_fitted_net_tells_other_simulated_lesions_apart(fitted: Fitted) -> None:
    judged = fitted.judged
    assert judged.low > judged.chance == 0.5
    assert judged.low <= judged.balanced_accuracy <= judged.high


def test_the_bundle_says_that_it_was_fitted_to_simulations(fitted: Fitted) -> None:
    manifest = fitted.bundle.manifest
    assert manifest["demonstration"] is True
    assert manifest["training"]["source"] == "simulated"
    assert manifest["licence"] == "Apache-2.0"
    assert b"no patient" in fitted.bundle.files["card.md"]


def test_the_same_seed_gives_the_same_bundle_and_another_seed_another(
    stripes: ModuleType, tmp_path: Path
) -> None:
    made = [
        fit_simulated(stripes.RECIPE, PARTITION, tmp_path / str(k), lesions=24, epochs=1, seed=seed)
        for k, seed in enumerate((3, 3, 4))
    ]
    first, second, third = (m.bundle.digest for m in made)
    assert first == second != third


def test_it_is_a_modality_model_whose_notes_come_from_the_reader(
    model: StackModel, stripes: ModuleType
) -> None:
    assert isinstance(model, ModalityModel)
    (result,) = model.predict([drawn(stripes, "wide")])
    assert result.notes == ("toy",)
    assert result.probabilities[SEEN[1]] > 0.5


def test_a_class_that_was_never_drawn_has_probability_zero_and_says_nothing(
    model: StackModel, stripes: ModuleType
) -> None:
    (result,) = model.predict([drawn(stripes, "narrow")])
    for name in PARTITION.ids:
        assert (model.prior[name] > 0) == (name in SEEN)
        assert (result.probabilities[name] > 0) == (name in SEEN)
    ratios = Ratios(PARTITION).log(Evidence("stripes", result.probabilities, model.prior, 1))
    assert np.isfinite(ratios).all()
    inflammatory = PARTITION.ids.index("Non-neoplastic:Inflammatory:Psoriasis")
    assert abs(ratios[inflammatory]) < 1e-9


def test_files_together_get_the_bits_that_each_gets_alone(model: StackModel, stripes: ModuleType) -> None:
    images = [drawn(stripes, kind, seed) for seed, kind in enumerate(("wide", "narrow", "wide"))]
    together = [r.probabilities for r in model.predict(images)]
    assert together == [model.predict([one])[0].probabilities for one in images]
    assert together == [r.probabilities for r in model.side_by_side(2).predict(images)]


def test_without_a_bundle_it_refuses_and_names_the_command(stripes: ModuleType) -> None:
    with pytest.raises(ContractError, match="dxtree train-simulated stripes"):
        load_stack_model(ModelRequest(PARTITION), stripes.RECIPE)


def test_a_bundle_of_other_views_is_refused(stripes: ModuleType, fitted: Fitted) -> None:
    with pytest.raises(ContractError, match="other views"):
        load_stack_model(ModelRequest(PARTITION, fitted.bundle), stripes.recipe("mean"))


def test_an_engine_of_torch_is_refused_and_not_replaced(stripes: ModuleType, fitted: Fitted) -> None:
    with pytest.raises(ContractError, match="onnxruntime"):
        load_stack_model(ModelRequest(PARTITION, fitted.bundle, "torch"), stripes.RECIPE)


def test_views_of_another_shape_are_the_recipes_fault(model: StackModel, stripes: ModuleType) -> None:
    from dataclasses import replace

    for wrong in (np.zeros((1, 1, 16, 16), np.float32), np.zeros((5, 1, 32, 32), np.float32)):
        broken: StackRecipe = replace(stripes.RECIPE, views=lambda _, wrong=wrong: wrong)
        with pytest.raises(ContractError, match="views"):
            replace(model, recipe=broken).predict([drawn(stripes, "wide")])


def test_a_damaged_file_is_an_input_error(model: StackModel) -> None:
    with pytest.raises(CorruptImage):
        model.predict([ImageInput(modality="stripes", data=b"II*\0nothing")])


def test_mean_pooling_does_not_depend_on_the_order_of_the_views(stripes: ModuleType, tmp_path: Path) -> None:
    recipe = stripes.recipe("mean")
    made = fit_simulated(recipe, PARTITION, tmp_path / "bundle", lesions=24, epochs=1)
    model = load_stack_model(ModelRequest(PARTITION, made.bundle), recipe)
    views = recipe.views(recipe.read(drawn(stripes, "wide").source))
    turned = np.ascontiguousarray(views[::-1])
    np.testing.assert_allclose(
        model.probabilities(views).values, model.probabilities(turned).values, atol=1e-6
    )


@pytest.mark.parametrize(("lesions", "epochs"), [(23, 1), (24, 0)])
def test_too_little_to_learn_from_is_a_training_error(
    stripes: ModuleType, tmp_path: Path, lesions: int, epochs: int
) -> None:
    with pytest.raises(TrainingError, match="at least 24 lesions"):
        fit_simulated(stripes.RECIPE, PARTITION, tmp_path, lesions=lesions, epochs=epochs)


def test_kinds_without_a_node_in_the_tree_are_a_training_error(stripes: ModuleType, tmp_path: Path) -> None:
    from dataclasses import replace

    recipe = replace(stripes.RECIPE, kinds=(*stripes.RECIPE.kinds, ("foreign", ("Eye:Drusen",))))
    with pytest.raises(TrainingError, match="foreign stands for none"):
        fit_simulated(recipe, PARTITION, tmp_path, lesions=24)
