"""From `dxtree simulate` to an answer that fuses the simulated modality with another."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from typer.testing import CliRunner

from core.errors import ContractError, PathRejected, PluginError
from dxtree.cli.main import app
from dxtree.cohorts import make_lesion
from dxtree.simulating import add_simulated
from modalities.sets.plugin import HERE
from modalities.stacks.finding import find_recipe, recipe_names
from plugins.model_set import ModelSet

pytest.importorskip("torch")
NAME = "stripes_recipe:RECIPE"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def models(stripes: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sets") / "new"
    text = run("train-simulated", NAME, "--out", out, "--lesions", 60, "--epochs", 4)
    assert "balanced accuracy" in text and "chance 0.500" in text and "knows no patient" in text
    return out


def test_simulate_writes_real_files_with_their_truth(stripes: ModuleType, tmp_path: Path) -> None:
    run("simulate", NAME, "--out", tmp_path / "drawn", "--lesions", 3, "--seed", 5)
    with (tmp_path / "drawn" / "truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["wide", "narrow", "wide"]
    assert rows[0]["nodes"] == "Malignant:Melanoma:Nodular melanoma"
    for row in rows:
        with Image.open(tmp_path / "drawn" / row["file"]) as image:
            assert image.format == "TIFF" and image.n_frames >= 2  # type: ignore[attr-defined]


def test_the_same_seed_writes_the_same_bytes(stripes: ModuleType, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("simulate", NAME, "--out", tmp_path / name, "--lesions", 2)
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_figure_shows_a_file_before_and_after(stripes: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run("simulate", NAME, "--out", tmp_path / "drawn", "--figure", tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert min(image.size) > 200


def test_files_are_not_mixed_with_others(stripes: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    with pytest.raises(PathRejected):
        run("simulate", NAME, "--out", tmp_path)


def test_the_new_set_keeps_the_old_models_to_the_byte_and_is_a_demonstration(models: Path) -> None:
    old, new = ModelSet.open(HERE / "demonstration"), ModelSet.open(models)
    assert set(new.modalities) - set(old.modalities) == {"stripes"}
    assert all(new.modalities[m] == digest for m, digest in old.modalities.items())
    assert new.fusers == old.fusers and new.bundle.manifest["demonstration"] is True
    assert new.modality_bundle("stripes") is not None


def test_an_answer_fuses_the_simulated_modality_with_another(
    models: Path, stripes: ModuleType, tmp_path: Path
) -> None:
    run("simulate", NAME, "--out", tmp_path / "drawn", "--lesions", 1)
    (tmp_path / "skin.jpg").write_bytes(make_lesion(7, 0).jpegs["dermoscopy"])
    plugin = Path(str(stripes.__file__)).with_name("stripes_plugin.py")
    shared = ["diagnose", "--models", models, "--plugin", plugin, "--json"]
    skin = ["--image", f"dermoscopy={tmp_path / 'skin.jpg'}"]
    stack = ["--image", f"stripes={tmp_path / 'drawn' / 'stripes-0.tif'}"]
    alone, both = json.loads(run(*shared, *skin)), json.loads(run(*shared, *skin, *stack))
    assert both["status"] == "complete" and both["fuser"] == "bayes"
    assert {"dermoscopy", "stripes"} <= set(both["used"])
    assert both["tree"] != alone["tree"]


def test_a_set_that_has_the_modality_is_refused_and_left_alone(
    models: Path, stripes: ModuleType, tmp_path: Path
) -> None:
    with pytest.raises(ContractError, match="has a bundle"):
        add_simulated(ModelSet.open(models), stripes.RECIPE, tmp_path / "x", lesions=24, seed=0, epochs=1)
    assert not (tmp_path / "x").exists()


def test_a_fit_that_fails_leaves_nothing_behind(stripes: ModuleType, tmp_path: Path) -> None:
    from core.errors import TrainingError

    old = ModelSet.open(HERE / "demonstration")
    with pytest.raises(TrainingError):
        add_simulated(old, stripes.RECIPE, tmp_path / "x", lesions=1, seed=0, epochs=1)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["confocl", "stacks", "no.such.module:RECIPE", "stripes_recipe:read"])
def test_an_unknown_recipe_is_a_plugin_error(stripes: ModuleType, name: str) -> None:
    assert "stacks" not in recipe_names() and "training" not in recipe_names()
    with pytest.raises(PluginError):
        find_recipe(name)
