"""What does a run leave behind, and can an image be trained on and judged by the same net?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import LeakageError, TrainingError
from core.partition import Partition, partition_tree
from core.split import TRAINING, VALIDATION, Split, split_by_component
from modalities.training.config import TrainingConfig
from modalities.training.evidence import evidence_csv, read_evidence
from modalities.training.run import (
    Run,
    open_run,
    prior_of,
    read_data,
    read_split,
)

CONFIG = TrainingConfig(
    modality="dermoscopy",
    architecture="shufflenet_v2_x0_5",
    size=32,
    test_size=40,
    epochs=1,
    batch=6,
    balance_level=1,
    precision="fp32",
)
LABELS = ("benign:nevus", "benign:keratosis", "malignant:melanoma")


def ignore(row: dict[str, Any]) -> None:
    """Watches nothing."""


def paper(lesions: int, images: int, cohorts: int = 1) -> list[LabelledImage]:
    """Labelled images without files."""
    return [
        LabelledImage(
            f"C{c}I{k}-{i}", f"L{k}", "dermoscopy", Path("x"), LABELS[k % 3], PatientMetadata(), f"C{c}"
        )
        for c in range(cohorts)
        for k in range(lesions)
        for i in range(images)
    ]


def make(
    folder: Path,
    partition: Partition,
    images: Sequence[LabelledImage],
    split: Split | None = None,
    **changed: Any,
) -> Run:
    parts = split or split_by_component(images, validation=0.25, folds=2)
    return Run(folder, CONFIG.model_copy(update=changed), partition, parts, tuple(images))


@pytest.fixture
def run(tmp_path: Path, cells: Partition, lesions: Callable[..., Any]) -> Run:
    return make(tmp_path / "run", cells, lesions(8))


# no leak


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lesions=st.integers(6, 40),
    images=st.integers(1, 3),
    cohorts=st.integers(1, 2),
    validation=st.floats(0, 0.5),
    folds=st.integers(2, 5),
    seed=st.integers(0, 1000),
)
def test_no_lesion_is_trained_on_and_judged_by_the_same_net(
    lesions: int, images: int, cohorts: int, validation: float, folds: int, seed: int, cells: Partition
) -> None:
    given_images = paper(lesions, images, cohorts)
    split = split_by_component(given_images, validation=validation, folds=folds, seed=seed)
    run = make(Path("unused"), cells, given_images, split)
    judged: list[str] = []
    for target in run.targets():
        training, evidence = run.training_images(target), run.evidence_images(target)
        assert not {i.lesion for i in training} & {i.lesion for i in evidence}
        assert all(split.part[i.lesion] == TRAINING for i in training)
        judged += [i.image for i in evidence]
    assert sorted(judged) == sorted(i.image for i in given_images), "each image is judged once"
    assert {split.part[i.lesion] for i in run.evidence_images("final")} <= {VALIDATION}
    assert len(run.training_images("final")) == sum(split.part[i.lesion] == TRAINING for i in given_images)


def test_one_image_in_two_lesions_on_both_sides_is_a_leak(cells: Partition, tmp_path: Path) -> None:
    images = paper(12, 1)
    split = split_by_component(images, validation=0.25, folds=2)
    inside = next(k for k, i in enumerate(images) if split.part[i.lesion] == TRAINING)
    outside = next(i for i in images if split.part[i.lesion] == VALIDATION)
    images[inside] = replace(images[inside], image=outside.image)
    with pytest.raises(LeakageError, match=outside.image):
        make(tmp_path, cells, images, split)


# runs that cannot be


def test_one_class_is_refused_by_name(cells: Partition, tmp_path: Path) -> None:
    images = [i for i in paper(30, 1) if i.label == "benign:keratosis"]
    with pytest.raises(
        TrainingError, match=r"holds 1 class.*, of labels benign:keratosis; two are needed"
    ) as caught:
        make(tmp_path, cells, images)
    assert caught.value.exit_code == 4


def test_no_image_of_the_modality_is_refused(cells: Partition, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"holds 0 class.*, of labels none; two are needed"):
        make(tmp_path, cells, [])


def test_a_label_that_lies_in_no_class_is_refused_with_its_name(
    lesions: Callable[..., Any], tmp_path: Path, cells: Partition
) -> None:
    images = lesions(4)
    counts = {"benign:nevus": 3, "benign:keratosis": 3, "malignant:melanoma": 50}
    published = partition_tree(cells.taxonomy, counts, max_size=4, preset="published")
    with pytest.raises(TrainingError, match="'malignant:melanoma' lies in no training class"):
        make(tmp_path / "run", published, images).train("final", None, ignore)


def test_an_unknown_target_says_which_there_are(run: Run) -> None:
    with pytest.raises(TrainingError, match="'fold-9' is none of final, fold-0, fold-1"):
        run.train("fold-9", None, ignore)


# what stays


def contents(folder: Path) -> dict[str, bytes]:
    kept = ("weights.safetensors", "evidence.csv", "validation.csv", "data.json", "run.json", "split.json")
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.name in kept
    }


def test_a_target_leaves_weights_evidence_and_what_it_was_trained_on(run: Run, cells: Partition) -> None:
    for target in run.targets():
        assert not run.is_finished(target)
        run.train(target, None, ignore)
        assert run.is_finished(target)
    assert sorted(contents(run.folder)) == [
        "final/data.json",
        "final/weights.safetensors",
        "fold-0/data.json",
        "fold-0/evidence.csv",
        "fold-0/weights.safetensors",
        "fold-1/data.json",
        "fold-1/evidence.csv",
        "fold-1/weights.safetensors",
        "run.json",
        "split.json",
        "validation.csv",
    ]
    keys, rows, classes = read_evidence(run.folder / "validation.csv")
    held = run.evidence_images("final")
    assert keys == [(i.image, i.lesion, i.cohort) for i in held]
    assert classes == cells.ids
    assert rows.shape == (len(held), 3)
    assert np.isfinite(rows).all()
    data = read_data(run.folder / "final")
    assert (data["images"], data["skipped"]) == (len(run.training_images("final")), [])
    assert sum(data["prior"].values()) == pytest.approx(1)


def test_evidence_that_was_lost_is_written_again_to_the_bit(run: Run) -> None:
    run.train("fold-0", None, ignore)
    before = contents(run.folder)
    (run.folder / "fold-0" / "evidence.csv").unlink()
    assert not run.is_finished("fold-0")
    run.train("fold-0", None, lambda row: pytest.fail("it trained again"))
    assert contents(run.folder) == before


def test_two_runs_of_one_recipe_leave_the_same_bytes(run: Run, tmp_path: Path, cells: Partition) -> None:
    other = Run(tmp_path / "other", run.config, cells, run.split, run.images)
    for one in (run, other):
        one.train("fold-1", None, ignore)
    assert contents(run.folder) == contents(other.folder)


def test_another_recipe_in_the_same_folder_is_refused(run: Run, cells: Partition) -> None:
    run.train("fold-0", None, ignore)
    before = contents(run.folder)
    other = Run(run.folder, run.config.model_copy(update={"seed": 1}), cells, run.split, run.images)
    with pytest.raises(TrainingError, match="other data or another configuration; choose another folder"):
        other.train("fold-1", None, ignore)
    assert contents(run.folder) == before


def test_other_data_in_the_same_folder_are_refused(run: Run, cells: Partition) -> None:
    run.train("fold-0", None, ignore)
    other = Run(run.folder, run.config, cells, run.split, run.images[:-3])
    with pytest.raises(TrainingError, match="other data or another configuration"):
        other.train("fold-1", None, ignore)


def test_a_bad_image_is_skipped_and_listed_and_has_no_evidence(
    tmp_path: Path, cells: Partition, lesions: Callable[..., Any]
) -> None:
    images = lesions(45, side=64)
    run = make(tmp_path / "run", cells, images, batch=64)
    bad = run.training_images("final")[7]
    bad.path.write_bytes(b"gone")
    run.train("final", None, ignore)
    data = read_data(run.folder / "final")
    assert data["skipped"] == [bad.image]
    assert data["images"] == len(run.training_images("final")) - 1
    assert sum(data["prior"].values()) == pytest.approx(1)


def test_too_many_bad_images_stop_a_run_before_it_learns(run: Run) -> None:
    run.training_images("final")[0].path.write_bytes(b"gone")
    with pytest.raises(TrainingError, match="cannot be read"):
        run.train("final", None, lambda row: pytest.fail("it trained"))


def test_a_run_is_opened_as_it_was(run: Run, cells: Partition) -> None:
    run.train("fold-0", None, ignore)
    found = open_run(run.folder, cells.taxonomy, run.images)
    assert found == run
    assert found.partition.fingerprint == cells.fingerprint
    assert read_split(run.folder) == run.split


def test_a_run_is_not_opened_over_other_data(run: Run, cells: Partition) -> None:
    run.train("fold-0", None, ignore)
    with pytest.raises(TrainingError, match="was trained on other data"):
        open_run(run.folder, cells.taxonomy, run.images[1:])


@pytest.mark.parametrize("file", ["run.json", "split.json"])
@pytest.mark.parametrize("content", [None, b"", b"\xff"])
def test_a_folder_that_is_no_run_is_a_training_error(
    file: str, content: bytes | None, run: Run, cells: Partition
) -> None:
    run.train("fold-0", None, ignore)
    (run.folder / file).unlink()
    if content is not None:
        (run.folder / file).write_bytes(content)
    with pytest.raises(TrainingError, match="holds no training run"):
        open_run(run.folder, cells.taxonomy, run.images)


def test_the_run_says_what_it_was_made_of(run: Run) -> None:
    run.train("fold-0", None, ignore)
    raw = json.loads((run.folder / "run.json").read_text())
    assert raw["config"] == run.config.model_dump(mode="json")
    assert raw["cohorts"] == {"drawn": 24}
    assert raw["images"] == {"training": 18, "validation": 6}
    assert raw["taxonomy"]["fingerprint"] == run.partition.taxonomy.fingerprint


# evidence


finite = st.floats(allow_nan=False, allow_infinity=False)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.tuples(finite, finite, finite), min_size=1, max_size=9))
def test_evidence_is_read_back_to_the_last_bit(rows: list[tuple[float, ...]], tmp_path: Path) -> None:
    images = paper(len(rows), 1)
    classes = ("a, b", 'quoted "c"', "läsion:é")
    (tmp_path / "e.csv").write_bytes(evidence_csv(images, np.array(rows), classes))
    keys, found, names = read_evidence(tmp_path / "e.csv")
    assert found.tobytes() == np.array(rows).tobytes()
    assert keys == [(i.image, i.lesion, i.cohort) for i in images]
    assert names == classes


def test_a_prior_is_each_class_s_share_of_the_draws() -> None:
    assert prior_of(np.array([0, 2, 2]), np.array([0.5, 0.2, 0.3]), 4) == pytest.approx([0.5, 0, 0.5, 0])


def test_images_are_drawn_by_the_groups_of_the_balanced_level(cells: Partition, tmp_path: Path) -> None:
    images = [i for i in paper(60, 1) if i.label != "malignant:melanoma" or int(i.lesion[1:]) % 4 == 0]
    run = make(tmp_path, cells, images, balance_power=0.0)
    drawn = run.draw(images)
    assert drawn.sum() == pytest.approx(1)
    shares: Counter[str] = Counter()
    for image, weight in zip(images, drawn.tolist(), strict=True):
        shares[image.label.split(":")[0]] += weight  # type: ignore[assignment]
    assert shares["benign"] == pytest.approx(0.5)
