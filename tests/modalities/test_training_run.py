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
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import CohortError, LeakageError, TrainingError
from core.partition import Partition, partition_tree
from core.split import TRAINING, VALIDATION, Split, split_by_component
from modalities.training.bundling import out_of_fold
from modalities.training.config import Loss, TrainingConfig
from modalities.training.data import prior_of
from modalities.training.evidence import evidence_csv, read_evidence
from modalities.training.run import Run, open_run, read_data, read_split
from modalities.training.starting import weights_of

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


# balance


def shares_of(run: Run, groups: Callable[[str], str]) -> dict[str, float]:
    """Probability to be drawn, summed over the images of each group of labels."""
    drawn = run.draw(run.images).tolist()
    shares: dict[str, float] = {}
    for image, weight in zip(run.images, drawn, strict=True):
        shares[groups(image.label)] = shares.get(groups(image.label), 0.0) + weight
    return shares


def skewed(cells: Partition) -> list[LabelledImage]:
    """40 naevi, 10 keratoses, 5 melanomas, 5 that are known to be malignant alone and 20 benign."""
    counts = {LABELS[0]: 40, LABELS[1]: 10, LABELS[2]: 5, "malignant": 5, "benign": 20}
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [replace(image, label=label) for image, label in zip(paper(80, 1), labels, strict=True)]


def cut(cells: Partition, images: Sequence[LabelledImage], preset: Any = "reference") -> Partition:
    """Classes naevus, keratosis and malignant as a whole, and benign~ in the reference."""
    return partition_tree(cells.taxonomy, Counter(i.label for i in images), max_size=40, preset=preset)


def test_without_a_level_training_classes_are_balanced(cells: Partition, tmp_path: Path) -> None:
    images = skewed(cells)
    partition = cut(cells, images)
    assert partition.ids == ("benign~", "benign:nevus", "benign:keratosis", "malignant")
    run = make(tmp_path, partition, images, balance_level=None, balance_power=0.0)
    shares = shares_of(run, lambda label: str(partition.class_of(label)))
    assert shares == pytest.approx(dict.fromkeys(partition.ids, 0.25))
    other = make(tmp_path, partition, images, balance_level=None, balance_power=1.0)
    wanted = {"benign~": 20 / 80, "benign:nevus": 40 / 80, "benign:keratosis": 10 / 80, "malignant": 10 / 80}
    assert shares_of(other, lambda label: str(partition.class_of(label))) == pytest.approx(wanted)


def test_without_a_level_a_coarse_label_is_a_group_of_its_own(cells: Partition, tmp_path: Path) -> None:
    images = skewed(cells)
    partition = cut(cells, images, "coarse_labels")
    assert partition.ids == ("benign:nevus", "benign:keratosis", "malignant")
    changed = {"balance_level": None, "balance_power": 0.0, "loss": "coarse_likelihood"}
    run = make(tmp_path, partition, images, **changed)
    shares = shares_of(run, lambda label: partition.class_of(label) or label)
    assert shares == pytest.approx(dict.fromkeys((*partition.ids, "benign"), 0.25))


def test_a_label_above_the_balanced_level_is_a_group_of_its_own(cells: Partition, tmp_path: Path) -> None:
    images = skewed(cells)
    run = make(tmp_path, cut(cells, images), images, balance_level=2, balance_power=0.0)
    assert shares_of(run, lambda label: label) == pytest.approx(
        dict.fromkeys((*LABELS, "malignant", "benign"), 0.2)
    )


# coarse labels


@pytest.fixture
def coarse(lesions: Callable[..., Any]) -> list[LabelledImage]:
    """Of 24 lesions every fourth is only known to be benign, where it is not malignant."""
    return [
        replace(image, label="benign") if k % 4 == 0 and image.label != LABELS[2] else image
        for k, image in enumerate(lesions(8, side=64))
    ]


@pytest.mark.parametrize("loss", ["coarse_likelihood", "hierarchical"])
def test_the_share_of_coarse_labels_goes_to_the_classes_they_hold_and_to_no_other(
    loss: Loss, cells: Partition, tmp_path: Path, coarse: list[LabelledImage]
) -> None:
    counts = Counter(i.label for i in coarse)
    partition = partition_tree(cells.taxonomy, counts, max_size=4, preset="coarse_labels")
    assert partition.report.coarse == {"benign": counts["benign"]}
    run = make(tmp_path / "run", partition, coarse, loss=loss, balance_power=1.0)
    run.train("final", None, ignore)
    data = read_data(run.folder / "final")
    trained = Counter(i.label for i in run.training_images("final"))
    known = {label: trained[label] / trained.total() for label in LABELS}
    benign = known[LABELS[0]] + known[LABELS[1]]
    wanted = {n: known[n] * (1 + trained["benign"] / trained.total() / benign) for n in LABELS[:2]}
    assert trained["benign"] > 0
    assert data["images"] == trained.total()
    assert data["prior"] == pytest.approx({**wanted, LABELS[2]: known[LABELS[2]]})


def test_coarse_labels_have_evidence_like_others(
    cells: Partition, tmp_path: Path, coarse: list[LabelledImage]
) -> None:
    counts = Counter(i.label for i in coarse)
    partition = partition_tree(cells.taxonomy, counts, max_size=4, preset="coarse_labels")
    run = make(tmp_path / "run", partition, coarse, loss="coarse_likelihood")
    run.train("fold-0", None, ignore)
    keys, _, _ = read_evidence(run.folder / "fold-0" / "evidence.csv")
    held = run.evidence_images("fold-0")
    assert "benign" in {i.label for i in held}
    assert [k[0] for k in keys] == [i.image for i in held]


def test_a_label_that_was_trained_on_as_coarse_is_held_against_no_class(
    cells: Partition, tmp_path: Path
) -> None:
    images = skewed(cells)
    for loss, kept in (("cross_entropy", {0, 1, 2, 3}), ("coarse_likelihood", {1, 2, 3})):
        run = make(tmp_path / loss, cut(cells, images), images, loss=loss)
        for target in run.targets()[1:]:
            held = run.evidence_images(target)
            (run.folder / target).mkdir(parents=True)
            (run.folder / target / "weights.safetensors").touch()
            rows = np.zeros((len(held), 4))
            (run.folder / target / "evidence.csv").write_bytes(evidence_csv(held, rows, run.partition.ids))
        rows, targets, weights = out_of_fold(run)
        assert set(targets.tolist()) == kept
        assert len(rows) == len(targets) == len(weights)


def test_without_a_loss_over_the_tree_a_coarse_label_is_refused_before_anything_is_read(
    cells: Partition, tmp_path: Path
) -> None:
    images = skewed(cells)
    with pytest.raises(TrainingError, match=r"'benign' lies in no training class; .* a loss over the tree"):
        make(tmp_path / "run", cut(cells, images, "coarse_labels"), images)
    assert not (tmp_path / "run").exists()


# images that results do not count


def test_excluded_images_give_no_evidence_and_are_trained_on(cells: Partition, tmp_path: Path) -> None:
    images = paper(40, 2)
    whole = split_by_component(images, validation=0.25, folds=2)
    excluded = {i.image: "blurred" for i in images[::3]}
    split = replace(whole, excluded=excluded)
    run, other = (make(tmp_path, cells, images, s) for s in (split, whole))
    for target in run.targets():
        assert run.training_images(target) == other.training_images(target)
        judged = [i.image for i in run.evidence_images(target)]
        assert judged == [i.image for i in other.evidence_images(target) if i.image not in excluded]
        assert len(judged) < len(other.evidence_images(target))
    assert {i.image for i in run.training_images("final")} & set(excluded)


def test_a_run_whose_held_images_are_all_excluded_is_finished_without_evidence(
    run: Run, tmp_path: Path, cells: Partition
) -> None:
    excluded = {i.image: "blurred" for i in run.evidence_images("final")[:-1]}
    split = replace(run.split, excluded=excluded)
    one = replace(run, folder=tmp_path / "one", split=split)
    one.train("final", None, ignore)
    keys, _, _ = read_evidence(one.folder / "validation.csv")
    assert [k[0] for k in keys] == [i.image for i in run.evidence_images("final")[-1:]]
    excluded = {i.image: "blurred" for i in run.evidence_images("final")}
    none = replace(run, folder=tmp_path / "none", split=replace(run.split, excluded=excluded))
    none.train("final", None, ignore)
    assert none.is_finished("final")
    assert not (none.folder / "validation.csv").exists()
    weights = [(r.folder / "final" / "weights.safetensors").read_bytes() for r in (one, none)]
    assert weights[0] == weights[1], "what is excluded decides no weight"
    assert read_split(none.folder).excluded == excluded


# from another run's nets on


@pytest.fixture
def first(run: Run) -> Run:
    for target in run.targets():
        run.train(target, None, ignore)
    return run


def parameters(run: Run, target: str) -> dict[str, torch.Tensor]:
    tensors = load_file(run.folder / target / "weights.safetensors")
    return {k: v for k, v in tensors.items() if k.endswith(("weight", "bias"))}


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[k] - other[k]).abs().max()) for k in one)


def test_every_target_goes_on_from_its_own_counterpart(first: Run, tmp_path: Path) -> None:
    config = first.config.model_copy(update={"learning_rate": 1e-9, "weights": first.folder.name})
    second = replace(first, folder=tmp_path / "second", config=config)
    for target in second.targets():
        second.train(target, first.folder, ignore)
        for other in first.targets():
            difference = apart(parameters(second, target), parameters(first, other))
            assert (difference < 1e-6) is (target == other), (target, other, difference)
        log = (second.folder / target / "metrics.jsonl").read_text().splitlines()
        assert json.loads(log[0]) == {"event": "started from weights", "random": []}


def test_a_split_under_which_the_other_net_saw_what_this_one_judges_is_a_leak(
    first: Run, tmp_path: Path
) -> None:
    split = split_by_component(first.images, validation=0.25, folds=2, seed=1)
    held = {i.lesion for i in split.select(first.images, VALIDATION)}
    seen = held - {i.lesion for i in first.split.select(first.images, VALIDATION)}
    other = replace(first, folder=tmp_path / "other", split=split)
    with pytest.raises(LeakageError) as caught:
        other.train("final", first.folder, lambda row: pytest.fail("it trained"))
    text = caught.value.safe_message
    assert text.startswith(
        f"{len(seen)} lesions that final gives evidence for trained the same target of run"
    )
    assert min(seen) in text
    assert "--split" in text
    assert not (other.folder / "final" / "weights.safetensors").exists()


def test_folds_that_differ_leak_although_the_parts_are_the_same(first: Run, tmp_path: Path) -> None:
    swapped = replace(first.split, fold={lesion: 1 - fold for lesion, fold in first.split.fold.items()})
    other = replace(first, folder=tmp_path / "other", split=swapped)
    other.train("final", first.folder, ignore)
    for target in ("fold-0", "fold-1"):
        with pytest.raises(LeakageError, match=f"lesions that {target} gives evidence for"):
            other.train(target, first.folder, lambda row: pytest.fail("it trained"))


def test_an_unfinished_counterpart_is_named(run: Run, tmp_path: Path) -> None:
    run.train("final", None, ignore)
    second = replace(run, folder=tmp_path / "second")
    with pytest.raises(TrainingError, match="fold-1 of run is not trained yet"):
        second.train("fold-1", run.folder, lambda row: pytest.fail("it trained"))


def test_a_folder_that_is_no_run_is_no_start(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match="empty holds no training run"):
        run.train("final", tmp_path / "empty", lambda row: pytest.fail("it trained"))


def test_a_lesion_that_the_other_split_does_not_hold_is_an_error(run: Run) -> None:
    held = run.evidence_images("final")
    lesion = held[0].lesion
    split = replace(run.split, part={k: v for k, v in run.split.part.items() if k != lesion})
    with pytest.raises(CohortError, match=f"lesion {lesion} of drawn is not in the split"):
        weights_of("final", run.folder, split, held)


def test_a_start_that_is_no_folder_stays_what_it_is() -> None:
    assert weights_of("final", "IMAGENET1K_V1", None, []) == "IMAGENET1K_V1"
    assert weights_of("final", None, None, []) is None


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seeds=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    validation=st.sampled_from([0.0, 0.2, 0.5]),
    folds=st.tuples(st.integers(2, 4), st.integers(2, 4)),
)
def test_no_net_goes_on_from_one_that_saw_what_it_judges(
    seeds: tuple[int, int], validation: float, folds: tuple[int, int], cells: Partition, tmp_path: Path
) -> None:
    images = paper(24, 1)
    old, new = (
        make(tmp_path / "old", cells, images, split_by_component(images, validation=v, folds=f, seed=s))
        for s, f, v in zip(seeds, folds, (0.2, validation), strict=True)
    )
    for target in old.targets():
        (old.folder / target).mkdir(parents=True, exist_ok=True)
        (old.folder / target / "weights.safetensors").touch()
    for target in new.targets():
        held = new.evidence_images(target)
        known = target in old.targets()
        trained = old.training_images(target if known else "final")
        if {i.lesion for i in held} & {i.lesion for i in trained}:
            with pytest.raises(LeakageError):
                weights_of(target, old.folder, old.split, held)
        elif known:
            found = weights_of(target, old.folder, old.split, held)
            assert found == old.folder / target / "weights.safetensors"
        else:
            with pytest.raises(TrainingError, match=f"{target} of old is not trained yet"):
                weights_of(target, old.folder, old.split, held)
