"""Does a net meet the same stepped pixels in training, in its bundle and at every prediction?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.case import ImageInput, PatientMetadata
from core.cohort import LabelledImage
from core.errors import ContractError
from core.manifest import read_bundle, write_bundle
from core.partition import Partition
from core.split import split_by_component
from modalities.cnn.model import load_model
from modalities.cnn.preprocess import Preprocessing, planes_of
from modalities.images import decode_here, decode_square
from modalities.stages import step_of, stepped
from modalities.stages.running import shipped
from modalities.training.bundling import make_bundle
from modalities.training.config import TrainingConfig
from modalities.training.data import read_all
from modalities.training.evidence import read_evidence
from modalities.training.run import Run
from plugins import ModelRequest, PreprocessorSpec

LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")
CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=1,
    batch=6,
    balance_level=1,
    precision="fp32",
    steps=("shades_of_grey", "hair"),
)
STEPS = tuple(map(step_of, CONFIG.steps))


def inverted(pixels: Any) -> Any:
    return 255 - pixels


MINE = PreprocessorSpec("mine", "Colours turned round", lambda: inverted)


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    cells: Partition,
    drawn: Callable[..., Any],
    as_png: Callable[..., bytes],
) -> Run:
    folder = tmp_path_factory.mktemp("run")
    images = []
    for k in range(18):
        path = folder / f"I{k}.png"
        path.write_bytes(as_png(drawn(LABELS[k % 3], k, 96, 120)))
        images.append(
            LabelledImage(f"I{k}", f"L{k}", "dermoscopy", path, LABELS[k % 3], PatientMetadata(), "drawn")
        )
    split = split_by_component(images, validation=0.3, folds=2)
    made = Run(folder / "run", CONFIG, cells, split, tuple(images))
    for target in made.targets():
        made.train(target, None, lambda row: None)
    return made


@pytest.fixture(scope="module")
def bundle_folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    make_bundle(run, folder, {"name": "drawn", "licence": "CC0-1.0"}, {})
    return folder


def test_training_keeps_pictures_at_inference_s_scale_after_the_steps(run: Run) -> None:
    test = run.test_preprocessing()
    kept = run.training_set("final")[0].pixels
    plain, _, _ = read_all(run.training_images("final"), test.resize)
    assert [s.name for s in test.steps] == ["shades_of_grey", "hair"]
    for pixels, before in zip(kept, plain, strict=True):
        assert min(pixels.shape[:2]) == test.resize
        assert np.array_equal(pixels, stepped(before, STEPS))


def test_a_prediction_sees_what_the_run_s_evidence_saw(
    run: Run, bundle_folder: Path, cells: Partition
) -> None:
    model = load_model(ModelRequest(cells, read_bundle(bundle_folder, "bundle.json")), "dermoscopy")
    keys, rows, _ = read_evidence(run.folder / "validation.csv")
    assert len(keys) > 2
    for (name, _, _), row in zip(keys, rows, strict=True):
        path = run.folder.parent / f"{name}.png"
        (result,) = model.predict([ImageInput(modality="dermoscopy", path=path)])
        wanted = np.exp((row - row.max()) / model.temperature)
        assert np.abs(result.probabilities.values - wanted / wanted.sum()).max() < 2e-3
        assert "preprocessing steps: shades_of_grey, hair" in result.notes
        square = model.preprocessing.read(path).padded[..., :3]
        assert np.array_equal(square, model.preprocessing.square(decode_here(path).pixels))
        assert not np.array_equal(square, decode_square(path, model.preprocessing.seen).padded[..., :3])


def test_the_bundle_records_the_steps_with_their_versions(bundle_folder: Path) -> None:
    manifest = read_bundle(bundle_folder, "bundle.json").manifest
    recorded = [{"name": "shades_of_grey", "version": "1"}, {"name": "hair", "version": "1"}]
    assert manifest["preprocessing"]["steps"] == recorded
    assert manifest["training"]["config"]["steps"] == ["shades_of_grey", "hair"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            {"name": "hair", "version": "0"},
            "'hair' has version 1 here, and the net was trained behind version '0'",
        ),
        ({"name": "hiar", "version": "1"}, "no preprocessing step 'hiar'.*did you mean 'hair'"),
        ({"name": "hair"}, "preprocessing cannot be read"),
    ],
)
def test_a_step_of_another_version_or_name_is_refused(
    entry: Any, told: str, bundle_folder: Path, tmp_path: Path, cells: Partition
) -> None:
    bundle = read_bundle(bundle_folder, "bundle.json")
    changed = {**bundle.manifest, "preprocessing": {**bundle.manifest["preprocessing"], "steps": [entry]}}
    write_bundle(tmp_path, "bundle.json", changed, bundle.files)
    with pytest.raises(ContractError, match=told):
        load_model(ModelRequest(cells, read_bundle(tmp_path, "bundle.json")), "dermoscopy")


def test_a_stranger_s_step_is_taken_from_its_plugin_and_missed_without_it() -> None:
    made = Preprocessing(64, 72, steps=(MINE,))
    known = {**shipped(), "mine": MINE}
    assert Preprocessing.from_dict(made.to_dict(), known) == made
    with pytest.raises(ContractError, match="no preprocessing step 'mine'"):
        Preprocessing.from_dict(made.to_dict())


def test_without_steps_nothing_is_recorded_and_nothing_is_done(
    drawn: Callable[..., Any], as_png: Callable[..., bytes]
) -> None:
    plain = Preprocessing(64, 72)
    assert set(plain.to_dict()) == {"size", "resize", "mean", "std"}
    pixels = drawn(LABELS[0], 0, 96, 120)
    assert plain.prepare(pixels) is pixels
    found, seen = plain.read(as_png(pixels)), decode_square(as_png(pixels), plain.seen)
    assert np.array_equal(found.padded, seen.padded)
    assert found.notes == seen.notes == ()


def test_a_configuration_without_steps_is_the_one_from_before_there_were_any() -> None:
    plain = CONFIG.model_copy(update={"steps": ()})
    assert "steps" not in plain.model_dump(mode="json")
    assert "steps" not in plain.model_dump_json()
    assert plain.fingerprint() != CONFIG.fingerprint()
    assert TrainingConfig.model_validate(CONFIG.model_dump(mode="json")) == CONFIG


def test_an_unknown_step_ends_a_run_before_it_starts(run: Run) -> None:
    with pytest.raises(ContractError, match="no preprocessing step 'hiar'"):
        replace(run, config=CONFIG.model_copy(update={"steps": ("hiar",)}))
    replace(run, config=CONFIG.model_copy(update={"steps": ("mine",)}), steps={"mine": MINE})


def test_steps_run_at_the_net_s_scale_whatever_the_size_of_the_file(
    drawn: Callable[..., Any], as_png: Callable[..., bytes]
) -> None:
    sizes: list[tuple[int, ...]] = []

    def watch(pixels: Any) -> Any:
        sizes.append(pixels.shape[:2])
        return pixels

    shown = Preprocessing(64, 72, steps=(PreprocessorSpec("watch", "", lambda: watch),))
    for height, width in ((96, 144), (192, 288), (72, 90)):
        planes_of(shown.read(as_png(drawn(LABELS[0], 0, height, width))).padded)
    assert sizes == [(72, 108), (72, 108), (72, 90)]
