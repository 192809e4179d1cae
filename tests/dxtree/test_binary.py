"""Are two sets of nodes told apart as stated, and are readers never compared by accident?"""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from sklearn.metrics import roc_auc_score

from core.case import PatientMetadata
from core.cohort import Lesion
from core.errors import (
    BelowTrainingClass,
    CohortError,
    ContractError,
    DxtreeError,
    MissingExtra,
    NonFiniteOutput,
    PathRejected,
    TaxonomyError,
    UnknownNode,
)
from core.partition import partition_tree
from core.taxonomy import Taxonomy
from dxtree import binary
from dxtree.binary import (
    PAPER_TASKS,
    BinaryTask,
    compare,
    curve_of,
    esteva_readers,
    judge,
    node_score,
    operating_points,
    read_readers,
    read_tasks,
    readers_of,
    score_task,
    threshold_for,
)
from dxtree.binary.readers import COLUMNS, OTHER_IMAGES
from dxtree.binary.show import print_result

ROOT = Path(__file__).parents[2]
ISIC = Taxonomy.shipped("isic_diagnosis")
TREE = Taxonomy.from_paths(
    "small",
    [
        ("benign", "nevus", "blue"),
        ("benign", "nevus", "plain"),
        ("benign", "cyst"),
        ("malignant", "melanoma"),
        ("malignant", "carcinoma", "rare"),
        ("malignant", "untouched"),
    ],
)
COUNTS = {
    "benign:nevus": 4,
    "benign:nevus:blue": 20,
    "benign:nevus:plain": 20,
    "benign:cyst": 9,
    "malignant:melanoma": 9,
    "malignant:carcinoma": 9,
    "malignant:carcinoma:rare": 2,
}
PARTITION = partition_tree(TREE, COUNTS, max_size=15)
TASK = BinaryTask(
    name="melanoma-nevus",
    title="Melanoma against nevus",
    positive=("malignant:melanoma",),
    negative=("benign:nevus",),
)


def task(positive: Iterable[str], negative: Iterable[str]) -> BinaryTask:
    return BinaryTask(name="t", title="t", positive=tuple(positive), negative=tuple(negative))


def lesion(name: str, label: str) -> Lesion:
    return Lesion(name, "small", label, None, PatientMetadata(), (), {})


def drawn(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores with ties, and truth with both sides."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, rows)
    truth[:2] = 0, 1
    return np.round(rng.normal(truth, 1.2), 1), truth


def test_the_front_door_is_sorted_and_holds_what_exists() -> None:
    names = list(binary.__all__)
    assert names == sorted(names, key=lambda n: (n.upper() != n, not n[0].isupper(), n))
    assert all(hasattr(binary, n) for n in names)


# Tasks


@pytest.mark.parametrize("found", PAPER_TASKS, ids=lambda t: t.name)
def test_the_tasks_of_the_paper_lie_on_the_isic_tree(found: BinaryTask) -> None:
    found.check(ISIC)


def test_the_sets_of_the_paper_hold_carcinoma_in_situ_and_melanoma_in_situ_but_no_keratoacanthoma() -> None:
    carcinoma, melanoma = PAPER_TASKS[0], PAPER_TASKS[1]
    epidermal = "Malignant:Malignant epidermal proliferations"
    labels = [
        "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma",
        f"{epidermal}:Squamous cell carcinoma in situ:Squamous cell carcinoma in situ, Bowens disease",
        f"{epidermal}:Squamous cell carcinoma, Invasive",
        f"{epidermal}:Squamous cell carcinoma, NOS",
        "Benign:Benign epidermal proliferations:Seborrheic keratosis:Seborrheic keratosis, Clonal",
        f"{epidermal}:Keratoacanthoma",
        epidermal,
    ]
    assert carcinoma.select(labels, ISIC).truth.tolist() == [1, 1, 1, 1, 0, -1, -1]
    assert carcinoma.modality == melanoma.modality == "clinical"
    assert PAPER_TASKS[2].modality == "dermoscopy"
    moles = [
        "Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma in situ",
        "Benign:Benign melanocytic proliferations:Nevus:Blue nevus",
        "Indeterminate",
    ]
    assert melanoma.select(moles, ISIC).truth.tolist() == [1, 0, -1]


def test_a_label_above_the_sets_is_left_out_and_counted_apart_from_other_diagnoses() -> None:
    found = TASK.select(
        ["malignant:melanoma", "benign:nevus:blue", "benign:nevus", "malignant", "root", "benign:cyst"], TREE
    )
    assert found.truth.tolist() == [1, 0, 0, -1, -1, -1]
    assert (found.above, found.elsewhere) == (2, 1)
    assert (found.positives, found.negatives) == (1, 2)


def test_a_misspelt_node_is_told_the_near_one() -> None:
    with pytest.raises(UnknownNode, match="did you mean 'malignant:melanoma'"):
        task(["malignant:melanom"], ["benign"]).check(TREE)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        (["malignant:melanoma"], ["malignant"]),
        (["malignant"], ["malignant:melanoma"]),
        (["benign"], ["benign"]),
        (["malignant", "malignant:melanoma"], ["benign"]),
        (["malignant"], ["benign:nevus", "benign:nevus"]),
    ],
)
def test_sets_that_overlap_are_refused(positive: list[str], negative: list[str]) -> None:
    with pytest.raises(TaxonomyError, match="overlap"):
        task(positive, negative).check(TREE)


def test_a_task_is_the_same_from_a_dictionary_from_json_and_from_yaml(tmp_path: Path) -> None:
    raw = TASK.to_dict()
    (tmp_path / "one.json").write_text(json.dumps([raw]), "utf-8")
    (tmp_path / "one.yaml").write_text(
        "name: melanoma-nevus\ntitle: Melanoma against nevus\n"
        "positive: ['malignant:melanoma']\nnegative:\n  - 'benign:nevus'\n",
        "utf-8",
    )
    assert BinaryTask.from_dict(raw) == TASK
    assert read_tasks(tmp_path / "one.json") == read_tasks(tmp_path / "one.yaml") == (TASK,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positive": []}, "positive"),
        ({"name": "two words"}, "name"),
        ({"extra": 1}, "extra"),
        ({"negative": "benign"}, "negative"),
    ],
)
def test_a_task_that_cannot_be_read_names_the_field(change: dict[str, object], said: str) -> None:
    with pytest.raises(TaxonomyError, match=said):
        BinaryTask.from_dict({**TASK.to_dict(), **change})


@pytest.mark.parametrize("content", ["[", "- a\n-b: [", "a: 1", "\xff"])
def test_a_file_of_tasks_that_cannot_be_read_is_a_typed_error(tmp_path: Path, content: str) -> None:
    for suffix in (".json", ".yaml"):
        path = tmp_path / f"t{suffix}"
        path.write_bytes(content.encode("latin-1"))
        with pytest.raises(DxtreeError):
            read_tasks(path)
    with pytest.raises(CohortError, match=r"none\.json"):
        read_tasks(tmp_path / "none.json")


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps([TASK.to_dict()] * 2), "utf-8")
    with pytest.raises(CohortError, match="melanoma-nevus"):
        read_tasks(tmp_path / "t.json")


# Scores


def test_the_conditional_score_is_the_marginal_one_renormalised_within_both_sets() -> None:
    values = np.random.default_rng(0).dirichlet(np.ones(len(PARTITION.ids)), 20)
    found = score_task(TASK, values, PARTITION, malignant="malignant")
    at = {name: values[:, k] for k, name in enumerate(PARTITION.ids)}
    nevus = at["benign:nevus~"] + at["benign:nevus:blue"] + at["benign:nevus:plain"]
    np.testing.assert_allclose(found.marginal, at["malignant:melanoma"])
    np.testing.assert_allclose(
        found.conditional, at["malignant:melanoma"] / (at["malignant:melanoma"] + nevus)
    )
    np.testing.assert_allclose(
        found.by_name()["malignant"], at["malignant:melanoma"] + at["malignant:carcinoma"]
    )
    assert set(score_task(TASK, values, PARTITION).by_name()) == {"marginal", "conditional"}


def test_a_lesion_with_no_probability_in_either_set_favours_none_and_is_counted() -> None:
    values = np.zeros((2, len(PARTITION.ids)))
    values[0, PARTITION.ids.index("benign:cyst")] = 1
    values[1, PARTITION.ids.index("malignant:melanoma")] = 1
    found = score_task(TASK, values, PARTITION)
    assert found.conditional.tolist() == [0.5, 1.0]
    assert found.undecided == 1


def test_a_node_inside_a_training_class_is_an_error_that_names_class_and_remedy() -> None:
    values = np.full((1, len(PARTITION.ids)), 1 / len(PARTITION.ids))
    inside = task(["malignant:carcinoma:rare"], ["benign:nevus"])
    with pytest.raises(BelowTrainingClass, match=r"'malignant:carcinoma'.*finer partition"):
        score_task(inside, values, PARTITION)
    with pytest.raises(BelowTrainingClass, match="finer partition"):
        node_score("malignant:carcinoma:rare", values, PARTITION)


def test_a_node_that_was_never_trained_is_listed_and_alone_is_an_error() -> None:
    values = np.full((1, len(PARTITION.ids)), 1 / len(PARTITION.ids))
    both = task(["malignant:melanoma", "malignant:untouched"], ["benign:nevus"])
    found = score_task(both, values, PARTITION)
    assert found.untrained == ("malignant:untouched",)
    assert found.marginal[0] == pytest.approx(1 / len(PARTITION.ids))
    with pytest.raises(BelowTrainingClass, match="untouched"):
        score_task(task(["malignant:untouched"], ["benign:nevus"]), values, PARTITION)


def test_values_of_another_shape_or_not_finite_are_refused() -> None:
    with pytest.raises(ContractError, match="training classes"):
        score_task(TASK, np.ones((3, 2)), PARTITION)
    broken = np.full((1, len(PARTITION.ids)), np.nan)
    with pytest.raises(NonFiniteOutput, match="without an answer"):
        score_task(TASK, broken, PARTITION)


# Curves


def test_the_curve_equals_a_loop_over_all_thresholds() -> None:
    scores, truth = drawn(80)
    curve = curve_of(scores, truth, resamples=10)
    expected = []
    for threshold in [np.inf, *sorted(set(scores.tolist()), reverse=True)]:
        called = scores >= threshold
        hit, spared = (called & (truth == 1)).sum(), (~called & (truth == 0)).sum()
        expected.append((threshold, hit / truth.sum(), spared / (1 - truth).sum()))
    found = zip(curve.thresholds, curve.sensitivity, curve.specificity, strict=True)
    assert [tuple(map(float, row)) for row in found] == [tuple(map(float, row)) for row in expected]
    assert (curve.positives, curve.negatives) == (truth.sum(), (1 - truth).sum())


def test_the_auc_is_that_of_scikit_learn_and_lies_in_its_interval() -> None:
    scores, truth = drawn(200, seed=3)
    auc = curve_of(scores, truth, resamples=200).auc
    assert auc.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert auc.low is not None
    assert auc.high is not None
    assert 0 < auc.low < auc.value < auc.high < 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_ties_are_called_together_and_the_area_of_the_curve_is_the_auc(rows: list[tuple[int, bool]]) -> None:
    scores = np.array([s for s, _ in rows], np.float64)
    truth = np.array([t for _, t in rows], np.int64)
    if len(set(truth.tolist())) < 2:
        with pytest.raises(CohortError, match="lesion"):
            curve_of(scores, truth, resamples=1)
        return
    curve = curve_of(scores, truth, resamples=1)
    assert len(curve.thresholds) == len(set(scores.tolist())) + 1
    assert (np.diff(curve.sensitivity) >= 0).all()
    assert (np.diff(curve.specificity) <= 0).all()
    area = np.trapezoid(curve.specificity, curve.sensitivity)
    assert area == pytest.approx(roc_auc_score(truth, scores))
    assert area == pytest.approx(curve.auc.value)
    order = np.random.default_rng(0).permutation(len(rows))
    again = curve_of(scores[order], truth[order], resamples=1)
    np.testing.assert_array_equal(again.specificity, curve.specificity)


def test_lesions_drawn_as_a_group_widen_the_interval() -> None:
    scores, truth = drawn(60, seed=1)
    alone = curve_of(np.tile(scores, 4), np.tile(truth, 4), resamples=300).auc
    names = [k % 60 for k in range(240)]
    grouped = curve_of(np.tile(scores, 4), np.tile(truth, 4), groups=names, resamples=300).auc
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("scores", "truth", "said"),
    [
        ([0.1, np.nan], [0, 1], "not finite"),
        ([0.1, 0.2], [0, -1], "nothing else"),
        ([0.1, 0.2], [1, 1], "no negative"),
        ([0.1, 0.2], [0, 0], "no positive"),
        ([], [], "no positive"),
        ([0.1], [0, 1], "one length"),
    ],
)
def test_scores_that_make_no_curve_are_refused(scores: list[float], truth: list[int], said: str) -> None:
    with pytest.raises(CohortError, match=said):
        curve_of(np.array(scores, np.float64), np.array(truth, np.int64))


# Operating points


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=4, max_size=40),
    st.sampled_from([0.0, 0.5, 0.8, 0.9, 0.95, 1.0]),
)
def test_an_operating_point_reaches_what_is_asked_and_no_other_threshold_does_better(
    rows: list[tuple[int, bool]], asked: float
) -> None:
    scores = np.array([s for s, _ in rows], np.float64)
    truth = np.array([t for _, t in rows], np.int64)
    if len(set(truth.tolist())) < 2:
        return
    every = [np.inf, *scores.tolist()]
    pairs = [((scores >= t)[truth == 1].mean(), (scores < t)[truth == 0].mean()) for t in every]
    for aim, other in ((0, 1), (1, 0)):
        name = ("sensitivity", "specificity")[aim]
        threshold = threshold_for(scores, truth, name, asked)  # type: ignore[arg-type]
        reached = pairs[every.index(threshold)]
        assert reached[aim] >= asked
        assert reached[other] == max(p[other] for p in pairs if p[aim] >= asked)


def test_a_threshold_chosen_here_is_marked_optimistic_and_its_aim_has_no_interval() -> None:
    scores, truth = drawn(120)
    points = operating_points(scores, truth, specificities=(0.9,), resamples=200)
    assert [(p.aim, p.asked) for p in points] == [
        ("sensitivity", 0.8), ("sensitivity", 0.9), ("sensitivity", 0.95), ("specificity", 0.9)
    ]  # fmt: skip
    for point in points:
        aimed = getattr(point, point.aim)
        other = point.specificity if point.aim == "sensitivity" else point.sensitivity
        assert point.chosen_on == "these lesions"
        assert aimed.value >= point.asked
        assert (aimed.low, aimed.high) == (None, None)
        assert other.low <= other.value <= other.high
        called = scores >= point.threshold
        assert point.sensitivity.value == pytest.approx(called[truth == 1].mean())
        assert point.specificity.value == pytest.approx((~called)[truth == 0].mean())


def test_choosing_anew_in_each_resample_widens_the_interval() -> None:
    scores, truth = drawn(150, seed=5)
    free = operating_points(scores, truth, sensitivities=(0.9,), resamples=500)[0].specificity
    fixed = operating_points(
        scores, truth, sensitivities=(0.9,), threshold_from=(scores, truth), resamples=500
    )[0].specificity
    assert free.value == pytest.approx(fixed.value)
    assert free.high - free.low > 1.2 * (fixed.high - fixed.low)  # type: ignore[operator]


def test_a_threshold_from_other_lesions_is_theirs_and_may_miss_its_aim() -> None:
    scores, truth = drawn(120)
    shifted = (scores + 1.0, truth)
    point = operating_points(scores, truth, sensitivities=(0.9,), threshold_from=shifted, resamples=100)[0]
    assert point.threshold == threshold_for(*shifted, "sensitivity", 0.9)
    assert point.chosen_on == "other lesions"
    assert point.sensitivity.value is not None
    assert point.sensitivity.value < 0.9
    assert point.sensitivity.low is not None


def test_a_specificity_that_only_never_positive_has_is_written_as_no_threshold() -> None:
    scores, truth = np.array([1.0, 1.0, 0.0]), np.array([1, 0, 1])
    point = operating_points(scores, truth, sensitivities=(), specificities=(1.0,), resamples=10)[0]
    assert point.threshold == np.inf
    assert point.to_dict()["threshold"] is None
    json.dumps(curve_of(scores, truth, resamples=2).to_dict(), allow_nan=False)


def test_a_share_outside_zero_to_one_is_refused() -> None:
    with pytest.raises(CohortError, match="from 0 to 1"):
        operating_points(*drawn(10), sensitivities=(95,))


# Readers


def test_the_readers_of_the_paper_are_three_means_on_other_images() -> None:
    found = {(p.task, p.reader, p.sensitivity, p.specificity, p.same_images) for p in esteva_readers()}
    assert found == {
        ("carcinoma-keratosis-clinical", "mean", 0.949, 0.713, False),
        ("melanoma-nevus-clinical", "mean", 0.948, 0.754, False),
        ("melanoma-nevus-dermoscopy", "mean", 0.851, 0.712, False),
    }
    assert {p.task for p in esteva_readers()} == {t.name for t in PAPER_TASKS}
    assert all("Esteva" in p.source for p in esteva_readers())


def readers_csv(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([",".join(COLUMNS), *rows]) + "\n", "utf-8")
    return path


def test_a_reader_of_other_images_is_never_compared_and_one_of_the_same_images_is(tmp_path: Path) -> None:
    curve = curve_of(np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0]), resamples=10)
    path = readers_csv(tmp_path / "r.csv", "t,mean,0.75,0.9,0.1,,here,no", "t,anna,0.5,0.9,,,here,yes")
    other, same = (compare(r, curve) for r in readers_of("t", read_readers(path)))
    assert OTHER_IMAGES in other.text
    assert not other.comparable
    assert OTHER_IMAGES not in same.text
    assert same.comparable
    # At least .75 of the sensitivity needs both positives, and costs one negative of two.
    assert (other.specificity, same.specificity) == (0.5, 1.0)
    assert "better" not in other.text + same.text
    assert readers_of("u", read_readers(path)) == ()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("t,r,1.2,0.9,,,s,no", "line 2: sensitivity"),
        ("t,r,x,0.9,,,s,no", "line 2: sensitivity"),
        ("t,r,nan,0.9,,,s,no", "line 2: sensitivity"),
        ("t,r,,0.9,,,s,no", "line 2: sensitivity"),
        ("t,r,0.9,0.9,,-1,s,no", "line 2: specificity_sd"),
        ("t,r,0.9,0.9,,,s,maybe", "line 2: same_images"),
        ("t,r,0.9,0.9,,,,no", "line 2: source"),
        ("t,r,0.9", "ragged"),
        ('t,"r', "cannot be read"),
    ],
)
def test_a_row_of_readers_that_cannot_be_used_is_named(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(CohortError, match=said):
        read_readers(readers_csv(tmp_path / "r.csv", row))


def test_a_reader_twice_and_a_column_too_few_are_refused(tmp_path: Path) -> None:
    row = "t,r,0.9,0.9,,,s,no"
    with pytest.raises(CohortError, match="twice"):
        read_readers(readers_csv(tmp_path / "r.csv", row, row))
    (tmp_path / "r.csv").write_text("task,reader\n", "utf-8")
    with pytest.raises(CohortError, match="same_images"):
        read_readers(tmp_path / "r.csv")


# A whole task


def judged_lesions() -> tuple[list[Lesion], np.ndarray]:
    rng = np.random.default_rng(0)
    labels = ["malignant:melanoma", "benign:nevus:blue", "benign:nevus", "benign:cyst", "malignant"] * 12
    values = rng.dirichlet(np.ones(len(PARTITION.ids)), len(labels))
    values[::5, PARTITION.ids.index("malignant:melanoma")] += 0.4
    values /= values.sum(axis=1, keepdims=True)
    values[0] = np.nan
    return [lesion(f"l{k}", label) for k, label in enumerate(labels)], values


def test_a_judged_task_counts_every_lesion_once_and_is_json() -> None:
    lesions, values = judged_lesions()
    result = judge(TASK, lesions, values, PARTITION, malignant="malignant", resamples=50)
    assert (result.n, result.unanswered, result.elsewhere, result.above) == (35, 1, 12, 12)
    assert result.n + result.unanswered + result.elsewhere + result.above == len(lesions)
    truth = np.array([1, 0, 0] * 12)[1:]
    rows = [k for k in range(len(lesions)) if k % 5 < 3][1:]
    marginal = values[rows, PARTITION.ids.index("malignant:melanoma")]
    assert result.curves["marginal"].auc.value == pytest.approx(roc_auc_score(truth, marginal))
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert set(document["scores"]) == {"marginal", "conditional", "malignant"}
    assert document["left_out"] == {"label_above_the_sets": 12, "another_diagnosis": 12, "no_answer": 1}
    assert "not a medical device" in document["research_use"].lower()


def test_the_order_of_the_lesions_changes_no_curve() -> None:
    lesions, values = judged_lesions()
    order = np.random.default_rng(1).permutation(len(lesions))
    one = judge(TASK, lesions, values, PARTITION, resamples=5)
    two = judge(TASK, [lesions[k] for k in order], values[order], PARTITION, resamples=5)
    for name, curve in one.curves.items():
        np.testing.assert_array_equal(curve.specificity, two.curves[name].specificity)
        assert curve.auc.value == pytest.approx(two.curves[name].auc.value)


def test_thresholds_of_a_task_may_come_from_other_lesions() -> None:
    lesions, values = judged_lesions()
    half = len(lesions) // 2
    result = judge(
        TASK, lesions[:half], values[:half], PARTITION,
        threshold_from=(lesions[half:], values[half:]), sensitivities=(0.9,), specificities=(), resamples=20,
    )  # fmt: skip
    scores = score_task(TASK, values[half:][[k for k in range(half) if k % 5 < 3]], PARTITION)
    wanted = threshold_for(scores.marginal, np.array([1, 0, 0] * 6), "sensitivity", 0.9)
    assert result.points["marginal"][0].threshold == wanted
    assert result.points["marginal"][0].chosen_on == "other lesions"


def test_the_print_says_optimistic_and_that_readers_saw_other_images() -> None:
    lesions, values = judged_lesions()
    named = TASK.model_copy(update={"name": "melanoma-nevus-clinical"})
    result = judge(named, lesions, values, PARTITION, readers=esteva_readers(), resamples=20)
    console = Console(width=100, file=io.StringIO())
    print_result(result, console)
    text = " ".join(console.file.getvalue().split())  # type: ignore[attr-defined]
    assert "35 lesions: 11 positive, 24 negative" in text
    assert "optimistic" in text
    assert OTHER_IMAGES in text
    assert "Not a medical device" in text


def test_without_yaml_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    (tmp_path / "t.yaml").write_text("name: t", "utf-8")
    with pytest.raises(MissingExtra, match="report"):
        read_tasks(tmp_path / "t.yaml")


# The command


def test_the_command_writes_curve_and_result_of_a_drawn_cohort(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    from typer.testing import CliRunner

    from dxtree.cli.main import app
    from dxtree.cohorts import SyntheticConfig, write_synthetic

    write_synthetic(tmp_path / "drawn", SyntheticConfig(lesions=40, seed=3))
    taxonomy = Taxonomy.from_json(ROOT / "modalities/sets/demonstration/taxonomy.json")
    one, two = taxonomy.level(1)[:2]
    arguments = [
        "binary", "--cohort", "synthetic", "--data", str(tmp_path / "drawn"), "--models", "demonstration",
        "--positive", one, "--negative", two, "--resamples", "20", "--out", str(tmp_path / "out"), "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout[done.stdout.index("{") :])
    assert document == json.loads((tmp_path / "out/result.json").read_text("utf-8"))
    assert 0 <= document["scores"]["marginal"]["auc"]["value"] <= 1
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"result.json", "curve.svg", "curve.png"}
    again = CliRunner().invoke(app, [*arguments[:-2], str(tmp_path / "out/result.json")])
    assert isinstance(again.exception, PathRejected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "melanoma-nevus-dermoscop"], "did you mean 'melanoma-nevus-dermoscopy'"),
        ([], "either --task"),
        (["--positive", "a"], "go together"),
        (["--task", "melanoma-nevus-clinical", "--positive", "a"], "either --task"),
    ],
)
def test_options_that_name_no_task_are_told_what_is_allowed(arguments: list[str], said: str) -> None:
    from typer.testing import CliRunner

    from dxtree.cli.main import app

    done = CliRunner().invoke(app, ["binary", "--cohort", "x", "--data", "y", *arguments])
    assert done.exit_code != 0
    assert said in str(done.exception) + " ".join(done.output.replace("│", " ").split())
