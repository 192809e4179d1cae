"""Does a finished run become a bundle that answers as the net did, calibrated on what it did not see?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.case import ImageInput, PatientMetadata
from core.cohort import LabelledImage
from core.errors import TrainingError
from core.manifest import read_bundle
from core.partition import Partition
from core.split import split_by_component
from modalities.cnn.model import load_model
from modalities.training.bundling import make_bundle, out_of_fold, temperature_of
from modalities.training.config import TrainingConfig
from modalities.training.evidence import evidence_csv, read_evidence
from modalities.training.run import Run
from plugins.specs import ModelRequest

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=2,
    batch=6,
    balance_level=1,
    learning_rate=2e-3,
    precision="fp32",
)
LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory,
    cells: Partition,
    drawn: Callable[..., Any],
    as_png: Callable[..., bytes],
) -> Run:
    """A finished run over drawn lesions."""
    folder = tmp_path_factory.mktemp("run")
    images = []
    for k in range(24):
        path = folder / f"I{k}.png"
        path.write_bytes(as_png(drawn(LABELS[k % 3], k)))
        images.append(
            LabelledImage(f"I{k}", f"L{k}", "dermoscopy", path, LABELS[k % 3], PatientMetadata(), "drawn")
        )
    made = Run(
        folder / "run", CONFIG, cells, split_by_component(images, validation=0.25, folds=2), tuple(images)
    )
    for target in made.targets():
        made.train(target, None, ignore)
    return made


ABOUT = {"name": "drawn", "licence": "CC0-1.0"}


def test_the_bundle_answers_as_the_run_s_own_evidence_says(
    run: Run, tmp_path: Path, cells: Partition
) -> None:
    bundle = make_bundle(run, tmp_path / "bundle", ABOUT, {"card.md": b"# Drawn\n"})
    model = load_model(ModelRequest(cells, bundle), "dermoscopy")
    keys, rows, classes = read_evidence(run.folder / "validation.csv")
    assert classes == model.classes
    for (name, _, _), row in zip(keys, rows, strict=True):
        (result,) = model.predict([ImageInput(modality="dermoscopy", path=run.folder.parent / f"{name}.png")])
        wanted = np.exp((row - row.max()) / model.temperature)
        assert np.abs(result.probabilities.values - wanted / wanted.sum()).max() < 2e-3
        assert result.checks == ()


def test_the_manifest_says_what_a_reader_needs(run: Run, tmp_path: Path) -> None:
    manifest = make_bundle(run, tmp_path / "bundle", ABOUT, {}).manifest
    assert {k: manifest[k] for k in ("kind", "modality", "name", "licence", "architecture")} == {
        "kind": "modality",
        "modality": "dermoscopy",
        "name": "drawn",
        "licence": "CC0-1.0",
        "architecture": "shufflenet_v2_x0_5",
    }
    assert manifest["classes"] == list(run.partition.ids)
    assert sum(manifest["prior"].values()) == pytest.approx(1)
    assert manifest["preprocessing"]["size"] == 40
    assert manifest["training"]["images"] == len(run.training_images("final"))
    assert manifest["training"]["skipped"] == []
    assert manifest["training"]["config"] == run.config.model_dump(mode="json")
    assert manifest["training"]["torch"] == torch.__version__
    assert manifest["checks"] is None  # a dozen images fit no gate


def test_a_run_is_bundled_to_the_same_bytes_twice(run: Run, tmp_path: Path) -> None:
    one = make_bundle(run, tmp_path / "one", ABOUT, {})
    two = make_bundle(run, tmp_path / "two", ABOUT, {})
    assert one.digest == two.digest
    assert one.files == two.files
    again = make_bundle(run, tmp_path / "one", ABOUT, {})
    assert again.digest == one.digest


def test_no_id_of_a_lesion_enters_the_bundle(run: Run, tmp_path: Path) -> None:
    make_bundle(run, tmp_path / "bundle", ABOUT, {})
    text = (tmp_path / "bundle" / "bundle.json").read_text()
    assert not any(f'"{i.lesion}"' in text for i in run.images)


def test_a_run_without_its_final_net_is_not_bundled(run: Run, tmp_path: Path) -> None:
    unfinished = replace(run, folder=tmp_path / "absent")
    with pytest.raises(TrainingError, match="the final net of absent is not trained yet"):
        make_bundle(unfinished, tmp_path / "bundle", ABOUT, {})


def test_a_run_without_a_fold_is_not_calibrated(run: Run, tmp_path: Path) -> None:
    path = run.folder / "fold-1" / "weights.safetensors"
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(TrainingError, match="fold-1 of run is not trained yet; calibration needs it"):
            make_bundle(run, tmp_path / "bundle", ABOUT, {})
    finally:
        path.with_suffix(".away").rename(path)


def test_out_of_fold_rows_cover_every_training_image_once_with_its_class(run: Run) -> None:
    rows, targets, weights = out_of_fold(run)
    training = run.training_images("final")
    assert rows.shape == (len(training), 3)
    assert sorted(np.bincount(targets).tolist()) == sorted(
        np.unique([run.partition.class_of(i.label) for i in training], return_counts=True)[1].tolist()
    )
    assert weights.sum() == pytest.approx(1)


# temperature, on evidence that the test makes


def with_evidence(
    folder: Path, cells: Partition, temperature: float, n: int = 3000, cohorts: tuple[str, ...] = ("a",)
) -> Run:
    """A run whose folds answer with logits that are `temperature` times too large."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, 3))
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    truth = [int(rng.choice(3, p=row / row.sum())) for row in p]
    images = [
        LabelledImage(
            f"I{k // len(cohorts)}",
            f"L{k}",
            "dermoscopy",
            Path("x"),
            LABELS[t],
            PatientMetadata(),
            cohorts[k % len(cohorts)],
        )
        for k, t in enumerate(truth)
    ]
    split = split_by_component(images, validation=0, folds=2)
    run = Run(folder, CONFIG.model_copy(update={"balance_power": 1.0}), cells, split, tuple(images))
    place = {id(i): k for k, i in enumerate(images)}
    for target in run.targets()[1:]:
        held = run.evidence_images(target)
        (folder / target).mkdir(parents=True)
        (folder / target / "weights.safetensors").touch()
        rows = temperature * logits[[place[id(i)] for i in held]]
        (folder / target / "evidence.csv").write_bytes(evidence_csv(held, rows, cells.ids))
    return run


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_recovered(temperature: float, tmp_path: Path, cells: Partition) -> None:
    assert temperature_of(with_evidence(tmp_path, cells, temperature)) == pytest.approx(temperature, rel=0.06)


def test_one_image_id_in_two_cohorts_is_two_images(tmp_path: Path, cells: Partition) -> None:
    run = with_evidence(tmp_path, cells, 2.5, cohorts=("a", "b"))
    assert temperature_of(run) == pytest.approx(2.5, rel=0.06)


def test_a_fold_without_an_image_of_the_modality_is_no_obstacle(tmp_path: Path, cells: Partition) -> None:
    run = with_evidence(tmp_path, cells, 2.0, n=400)
    split = replace(run.split, folds=3)
    more = replace(run, split=split)
    (tmp_path / "fold-2").mkdir()
    (tmp_path / "fold-2" / "weights.safetensors").touch()
    assert more.evidence_images("fold-2") == []
    assert temperature_of(more) == temperature_of(run)


def test_the_bundle_is_read_back_whole(run: Run, tmp_path: Path) -> None:
    made = make_bundle(run, tmp_path / "bundle", ABOUT, {"card.md": b"# Drawn\n"})
    moved = (tmp_path / "bundle").rename(tmp_path / "elsewhere")
    assert read_bundle(moved, "bundle.json") == made
