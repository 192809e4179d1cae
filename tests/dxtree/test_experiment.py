"""Does an experiment compare what its nets had not seen, on the same images, and end the same twice?"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from core.case import PatientMetadata
from core.cohort import LabelledImage
from core.errors import TrainingError
from core.partition import partition_at_level, partition_tree
from core.taxonomy import Taxonomy
from dxtree.cli.main import app
from dxtree.cohorts import SyntheticConfig, write_synthetic
from dxtree.experiment.config import read_experiment
from dxtree.experiment.judging import level_yardstick
from dxtree.experiment.results import statistics
from dxtree.experiment.unseen import Unseen, softmax
from plugins.assembly import load_registry

EXPERIMENTS = sorted((Path(__file__).parent.parent.parent / "examples" / "experiments").glob("*.yaml"))

TINY = """
name: tiny
taxonomy: synthetic
cohorts: [synthetic]
modalities: [dermoscopy]
training: {architecture: shufflenet_v2_x0_5, size: 32, test_size: 40, epochs: 1, batch: 8, precision: fp32}
arms:
  - {name: pa, max_size: 8}
  - {name: level-1, level: 1}
  - {name: level-2, level: 2}
  - {name: leaves, level: leaves}
reference: pa
sweep: [pa]
ensembles: {both: [pa, leaves]}
resamples: 100
"""

TREE = Taxonomy.from_paths(
    "t", [["Benign", "nevus", "common"], ["Benign", "nevus", "blue"], ["Benign", "wart"], ["Malignant"]]
)
COUNTS = {"Benign:nevus:common": 5, "Benign:nevus:blue": 5, "Benign:wart": 5, "Malignant": 5}


def run(*words: object) -> Any:
    return CliRunner().invoke(app, [str(w) for w in words])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_synthetic(folder / "synthetic", SyntheticConfig(lesions=40, size=64))
    return folder


@pytest.fixture(scope="module")
def done(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished experiment."""
    folder = tmp_path_factory.mktemp("experiment")
    (folder / "tiny.yaml").write_text(TINY)
    result = run("experiment", folder / "tiny.yaml", "--data", data, "--out", folder / "out", "--threads", 1)
    assert result.exit_code == 0, result.output
    return folder / "out"


def image(k: int, label: str) -> LabelledImage:
    return LabelledImage(f"I{k}", f"L{k}", "dermoscopy", Path("x"), label, PatientMetadata(), "c")


def answers(partition: Any, labels: list[str], rows: list[list[float]], prior: list[float]) -> Unseen:
    images = tuple(image(k, label) for k, label in enumerate(labels))
    return Unseen(partition, images, np.array(rows), np.tile(prior, (len(rows), 1)), (0,) * len(rows))


# judging


def test_a_level_is_judged_by_sums_over_the_classes_below_its_nodes() -> None:
    leaves = partition_at_level(TREE, COUNTS, 3)
    assert leaves.ids == ("Benign:nevus:common", "Benign:nevus:blue", "Benign:wart", "Malignant")
    one = answers(
        leaves, ["Malignant", "Benign:wart"], [[0.2, 0.2, 0.2, 0.4], [0.3, 0.3, 0.2, 0.2]], [0.25] * 4
    )
    first = level_yardstick(one.images, TREE, 1)
    assert first.classes == ("Benign", "Malignant")
    # The largest leaf is right and its first level is wrong: the sum decides, not a walk.
    assert first.scores(one)[0].tolist() == [[pytest.approx(0.6), 0.4], [pytest.approx(0.8), 0.2]]
    second = level_yardstick(one.images, TREE, 2)
    assert second.classes == ("Benign:wart", "Malignant")
    assert second.truth.tolist() == [1, 0]


def test_an_even_prior_divides_by_what_the_net_was_shown() -> None:
    coarse = partition_at_level(TREE, COUNTS, 1)
    one = answers(coarse, ["Malignant", "Benign:wart"], [[0.6, 0.4], [0.9, 0.1]], [0.75, 0.25])
    plain, even = level_yardstick(one.images, TREE, 1).scores(one)
    assert plain.argmax(1).tolist() == [0, 0]
    assert even.argmax(1).tolist() == [1, 0]
    assert even[0].tolist() == [pytest.approx(0.8), pytest.approx(1.6)]


def test_an_arm_on_coarse_labels_is_not_judged_below_them() -> None:
    labels = ["Benign:nevus:common", "Benign:nevus:blue", "Benign:wart"]
    coarse = answers(partition_at_level(TREE, COUNTS, 1), labels, [[0.5, 0.5]] * 3, [0.5, 0.5])
    assert level_yardstick(coarse.images, TREE, 1).judged(coarse)
    assert not level_yardstick(coarse.images, TREE, 2).judged(coarse)


def test_an_ensemble_averages_what_its_members_say_of_a_node() -> None:
    labels = ["Malignant", "Benign:wart"]
    coarse = answers(partition_at_level(TREE, COUNTS, 1), labels, [[0.9, 0.1]] * 2, [0.5, 0.5])
    leaves = partition_at_level(TREE, COUNTS, 3)
    fine = answers(leaves, labels, [[0, 0, 0, 1], [0.1, 0.1, 0.2, 0.6]], [0.25] * 4)
    classes = level_yardstick(coarse.images, TREE, 1)

    def accuracy(*members: Unseen) -> float:
        return float(statistics(classes, members)["accuracy"](np.ones((2, 1)))[0])

    # Each is wrong once; the means, .55 for Malignant and .65 for Benign, are right twice.
    assert (accuracy(coarse), accuracy(fine), accuracy(coarse, fine)) == (0.5, 0.5, 1.0)


def test_labels_above_a_level_are_not_judged_there() -> None:
    images = [image(0, "Benign"), image(1, "Benign:wart"), image(2, "Malignant")]
    assert level_yardstick(images, TREE, 2).rows.tolist() == [1, 2]


@given(st.lists(st.lists(st.floats(-30, 30), min_size=4, max_size=4), min_size=1, max_size=9))
@settings(deadline=None)
def test_scores_of_a_level_sum_to_one_whatever_the_partition(logits: list[list[float]]) -> None:
    partition = partition_tree(TREE, COUNTS, max_size=5)
    labels = ["Benign:wart", "Malignant"] * len(logits)
    one = answers(partition, labels[: len(logits)], softmax(np.array(logits)).tolist(), [0.25] * 4)
    every = [image(0, "Benign:wart"), image(1, "Malignant"), image(2, "Benign:nevus:blue")]
    for level in (1, 2):
        classes = level_yardstick(every, TREE, level)
        assert (one.probabilities @ classes.membership(one)).sum(axis=1) == pytest.approx(1)


# the experiment


def test_every_arm_is_judged_on_the_same_images_that_no_net_of_it_had_seen(done: Path) -> None:
    cells = json.loads((done / "results.json").read_text())["cells"]
    assert {c["arm"] for c in cells} == {"pa", "level-1", "level-2", "leaves", "both"}
    images = {(c["yardstick"], c["images"]) for c in cells}
    assert len(images) == len({c["yardstick"] for c in cells})
    split = json.loads((done / "split.json").read_text())
    for arm in ("pa", "level-1"):
        for k in range(3):
            rows = (
                (done / "arms" / arm / "dermoscopy" / f"fold-{k}" / "evidence.csv").read_text().splitlines()
            )
            assert {split["fold"][row.split(",")[1]] for row in rows[1:]} == {k}
    assert not [c for c in cells if c["arm"] == "level-1" and c["yardstick"] == "level 2"]


def test_a_difference_has_the_sign_of_arm_less_reference_and_none_for_the_reference(done: Path) -> None:
    cells = {
        (c["arm"], c["yardstick"], c["metric"]): c
        for c in json.loads((done / "results.json").read_text())["cells"]
    }
    reference = cells["pa", "level 1", "accuracy"]
    assert reference["difference"] is None
    other = cells["level-1", "level 1", "accuracy"]
    apart = other["value"]["value"] - reference["value"]["value"]
    assert other["difference"]["value"] == pytest.approx(apart, abs=1e-12)
    assert other["difference"]["low"] <= apart <= other["difference"]["high"]


def test_the_numbers_follow_from_the_answers_by_another_path(done: Path) -> None:
    """Mean over images of whether the sum over a first-level node's classes is the largest."""
    found = next(
        c
        for c in json.loads((done / "results.json").read_text())["cells"]
        if (c["arm"], c["yardstick"], c["metric"]) == ("leaves", "level 1", "accuracy")
    )
    table = truth_of(done)
    right = []
    for k in range(3):
        lines = (
            (done / "arms" / "leaves" / "dermoscopy" / f"fold-{k}" / "evidence.csv").read_text().splitlines()
        )
        classes = lines[0].split(",")[3:]
        for line in lines[1:]:
            name, _, _, *logits = line.split(",")
            sums: Counter[str] = Counter()
            for c, logit in zip(classes, logits, strict=True):
                sums[c.split(":")[0].rstrip("~")] += np.exp(float(logit))
            right.append(max(sums, key=lambda node: sums[node]) == table[name])
    assert found["value"]["value"] == pytest.approx(np.mean(right), abs=1e-12)
    assert found["images"] == len(right)


def truth_of(done: Path) -> dict[str, str]:
    """First level of each image, from the table that was read."""
    data = json.loads((done / "where.json").read_text())["data"]
    rows = (Path(data) / "synthetic" / "metadata.csv").read_text().splitlines()
    head = rows[0].split(",")
    return {r.split(",")[0]: r.split(",")[head.index("diagnosis_1")] for r in rows[1:]}


@pytest.fixture(autouse=True, scope="module")
def _where(done: Path, data: Path) -> None:
    (done / "where.json").write_text(json.dumps({"data": str(data)}))


def test_a_finished_experiment_is_reported_again_without_training(done: Path, data: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in done.rglob("weights.safetensors")}
    again = run("experiment", done / "experiment.yaml", "--data", data, "--out", done, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["reference"] == "pa"
    assert {p: p.stat().st_mtime_ns for p in done.rglob("weights.safetensors")} == before


def test_the_report_needs_nothing_else_and_says_what_it_is_not(done: Path) -> None:
    page = (done / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "Not a medical device" in page
    assert {p.name for p in (done / "figures").iterdir()} >= {
        "compare-dermoscopy-class-size.svg",
        "look-dermoscopy-confusion-2.svg",
        "look-dermoscopy-reliability.svg",
        "look-dermoscopy-saliency.png",
        "look-dermoscopy-features.png",
        "look-dermoscopy-training.svg",
    }


def test_what_made_the_numbers_is_kept(done: Path) -> None:
    told = json.loads((done / "environment.json").read_text())
    assert told["start"] is None
    assert told["seeds"] == {"split": 0, "training": 0}
    assert set(told["versions"]) >= {"torch", "torchvision", "numpy", "dxtree"}
    assert (done / "experiment.yaml").read_text() == TINY


def test_an_arm_trained_otherwise_does_not_enter_the_folder(done: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(TINY.replace("epochs: 1", "epochs: 2"))
    result = run("experiment", tmp_path / "other.yaml", "--data", data, "--out", done)
    assert isinstance(result.exception, TrainingError)
    assert "arm pa" in result.exception.safe_message


def test_what_is_reported_may_change_and_arms_may_come(done: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(done, tmp_path / "out")
    (tmp_path / "more.yaml").write_text(TINY.replace("reference: pa", "reference: leaves"))
    result = run("experiment", tmp_path / "more.yaml", "--data", data, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["reference"] == "leaves"


def test_a_repetition_ends_with_the_same_bits(done: Path, data: Path, tmp_path: Path) -> None:
    again = run(
        "reproduce", done, "--data", data, "--out", tmp_path, "--net", "pa/dermoscopy/fold-1", "--json"
    )
    assert again.exit_code == 0, again.output
    (net,) = json.loads(again.stdout)["nets"]
    assert net["same_weights"]
    assert net["same_answers"]


def test_a_repetition_that_differs_says_so(done: Path, data: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(done, changed)
    path = changed / "arms" / "pa" / "dermoscopy" / "fold-1" / "evidence.csv"
    lines = path.read_text().splitlines()
    first = lines[1].split(",")
    first[3] = "9.5"
    path.write_text("\n".join([lines[0], ",".join(first), *lines[2:]]) + "\n")
    again = run(
        "reproduce",
        changed,
        "--data",
        data,
        "--out",
        tmp_path / "o",
        "--net",
        "pa/dermoscopy/fold-1",
        "--json",
    )
    assert again.exit_code == 1
    assert not json.loads(again.stdout)["nets"][0]["same_answers"]


# the file


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda p: p.stem)
def test_the_experiments_that_ship_can_be_read(path: Path) -> None:
    config = read_experiment(path)
    registry = load_registry()
    assert {registry.cohorts.get(name).name for name in config.cohorts} == set(config.cohorts)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("reference: pa", "reference: po", "'po' is none of the arms"),
        ("max_size: 8}", "max_size: 8, level: 1}", "either max_size or level"),
        ("both: [pa, leaves]", "both: [pa, leafs]", "'leafs' is none of the arms"),
        ("{both:", "{pa:", "'pa' is an arm and an ensemble"),
        ("epochs: 1", "epochz: 1", "epochz: Extra inputs are not permitted; did you mean 'epochs'"),
        ("epochs: 1", "epochs: 0", "epochs: Input should be greater than or equal to 1"),
        ("name: level-1", "name: pa", "two arms share a name"),
        ("sweep: [pa]", "sweep: [level-1]", "an arm of the sweep has a max_size"),
        ("resamples: 100", "folds: [7]", "folds are 0 to 2"),
        ("name: tiny", "name: [tiny", "is no YAML"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "e.yaml").write_text(TINY.replace(old, new, 1))
    with pytest.raises(TrainingError) as caught:
        read_experiment(tmp_path / "e.yaml")
    assert message in caught.value.safe_message
