"""Is every recipe that ships one that can be trained, and is what is misspelt named with what was meant?"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.errors import TrainingError
from modalities.cnn.torch_net import check_architecture
from modalities.training.config import TrainingConfig
from modalities.training.recipe import make_config, read_recipe, recipe_names

# As the paper states them; the rate's factor as the authors' code has it.
PAPER = {
    "architecture": "inception_v3",
    "size": 299,
    "test_size": 299,
    "test_crop": 0.875,
    "augmentation": "rotation",
    "balance_level": None,
    "balance_power": 0.0,
    "loss": "cross_entropy",
    "optimizer": "rmsprop",
    "rms_decay": 0.9,
    "momentum": 0.9,
    "epsilon": 0.1,
    "learning_rate": 0.001,
    "schedule": "staircase",
    "staircase_factor": 0.16,
    "staircase_epochs": 30,
    "batch": 32,
}


def write(folder: Path, text: str, name: str = "own.yaml") -> Path:
    (folder / name).write_text(text, "utf-8")
    return folder / name


def config(**fields: Any) -> TrainingConfig:
    return make_config({"modality": "clinical", **fields})


# recipes that ship


def test_the_recipes_that_ship_have_these_names() -> None:
    assert recipe_names() == ("esteva-2017", "modern")


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_that_ships_is_read_and_sets_what_it_says(name: str) -> None:
    fields = read_recipe(name)
    made = config(**fields)
    assert {k: getattr(made, k) for k in fields} == fields
    assert "modality" not in fields
    assert made.weights is None
    check_architecture(made.architecture)


def test_the_recipe_of_2017_has_the_numbers_of_the_paper() -> None:
    fields = read_recipe("esteva-2017")
    assert {k: fields[k] for k in PAPER} == PAPER
    # Nothing that the paper does not have, and the average that it evaluates.
    made = config(**fields)
    assert (made.label_smoothing, made.weight_decay, made.mixup) == (0.0, 0.0, 0.0)
    assert (made.frozen, made.accumulate) == (None, 1)
    assert 0.99 <= made.ema < 1
    assert made.epochs > made.staircase_epochs


def test_why_the_rate_is_multiplied_is_said_in_the_recipe() -> None:
    text = (files("modalities.training") / "recipes" / "esteva-2017.yaml").read_text("utf-8")
    assert '"by a factor of 16 every 30 epochs"' in text


def test_a_recipe_fixes_neither_the_data_nor_the_machine() -> None:
    for name in recipe_names():
        assert not {"modality", "weights", "seed", "precision", "checkpoint_seconds"} & set(read_recipe(name))


# recipes of one's own


@pytest.mark.parametrize("name", ["own.yaml", "own.yml"])
def test_a_file_of_fields_is_a_recipe(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, "epochs: 3\nbalance_level: null\nlearning_rate: 1.0e-4\n", name)
    wanted = {"epochs": 3, "balance_level": None, "learning_rate": 1e-4}
    assert read_recipe(path) == read_recipe(str(path)) == wanted


def test_an_unknown_recipe_is_named_with_the_nearest() -> None:
    with pytest.raises(TrainingError) as caught:
        read_recipe("esteva2017")
    text = caught.value.safe_message
    assert "recipe 'esteva2017' is none of esteva-2017, modern; did you mean 'esteva-2017'?" in text
    assert "ends in .yaml" in text


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "own.yaml").write_bytes(content)
    with pytest.raises(TrainingError, match=r"recipe own\.yaml cannot be read"):
        read_recipe(tmp_path / "own.yaml")


BROKEN = {
    "a bracket that stays open": "epochs: [1",
    "a tab": "\tepochs: 1",
    "a zero byte": "epochs: 1\0",
    "a date that is none": "epochs: 2001-99-99",
    "brackets without end": "[" * 2000,
    "a key that is a list": "? [epochs]\n: 1",
    "a Python object": "epochs: !!python/object:os.PathLike {}",
    "a Python call": "!!python/object/apply:os.system ['true']",
    "a Python name": "epochs: !!python/name:os.system",
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_plain_yaml_is_refused_by_name(what: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"^recipe own\.yaml is no YAML"):
        read_recipe(write(tmp_path, BROKEN[what]))


def test_a_python_call_in_a_recipe_is_not_made(tmp_path: Path) -> None:
    made = tmp_path / "made"
    text = f"!!python/object/apply:os.mkdir ['{made}']"
    yaml.unsafe_load(text)
    assert made.exists(), "the call is one that a careless reader would make"
    made.rmdir()
    with pytest.raises(TrainingError):
        read_recipe(write(tmp_path, text))
    assert not made.exists()


@pytest.mark.parametrize("text", ["- epochs", "[]", "epochs", "3", "", "null"])
def test_yaml_that_is_no_mapping_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"recipe own\.yaml is a mapping of fields to values"):
        read_recipe(write(tmp_path, text))


# fields and values


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"learning_rat": 1}, "learning_rat: .*; did you mean 'learning_rate'?"),
        ({"optimiser": "sgd"}, "optimiser: .*; did you mean 'optimizer'?"),
        ({"xyzzy": 1}, "^xyzzy: [^;]*$"),
        ({"optimizer": "adam"}, "^optimizer: .*'adamw', 'rmsprop' or 'sgd'"),
        ({"loss": "focal"}, "^loss: .*'coarse_likelihood'"),
        ({"epochs": 0}, "^epochs: .*greater than or equal to 1"),
        ({"epochs": "many"}, "^epochs: "),
        ({"epochs": None}, "^epochs: "),
        ({"size": 16}, "^size: .*32"),
        ({"ema": 1.0}, "^ema: .*less than 1"),
        ({"batch": 10, "accumulate": 4}, "^training: .*batch must be a multiple of accumulate"),
        ({"batch": 4, "accumulate": 4}, "^training: .*two images or more"),
    ],
    ids=str,
)
def test_a_field_or_value_that_cannot_be_is_named(fields: dict[str, Any], text: str, tmp_path: Path) -> None:
    pattern = text.replace("?", r"\?")
    with pytest.raises(TrainingError, match=pattern) as caught:
        config(**fields)
    assert caught.value.exit_code == 4
    with pytest.raises(TrainingError, match=pattern):
        read_recipe(write(tmp_path, yaml.safe_dump(fields)))


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(TrainingError) as caught:
        config(epochs=0, sise=64, precision="fp8")
    assert [part.split(":")[0] for part in caught.value.safe_message.split("; ") if ":" in part] == [
        "epochs",
        "precision",
        "sise",
    ]


def test_a_recipe_without_a_modality_says_so() -> None:
    with pytest.raises(TrainingError, match=r"^modality: Field required"):
        make_config({})
