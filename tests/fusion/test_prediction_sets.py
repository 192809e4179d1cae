"""Are the thresholds MAPIE's own, and do sets hold the truth as often as asked on lesions never seen?"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from core.cells import LEAVES, Cells
from core.errors import ContractError, LeakageError, MissingExtra, TrainingError
from core.partition import partition_tree
from core.probabilities import LeafProbabilities, TreeProbabilities
from core.set_rule import SetRule
from core.taxonomy import Taxonomy
from core.tree import TreeSums
from fusion.prediction_sets import fit_node_rule, fit_rule, least_lesions

mapie = pytest.importorskip("mapie.classification")

PATHS = [("bad",), ("bad", "dark"), ("bad", "light"), ("good", "mole"), ("good", "cyst"), ("odd", "one")]
TREE = Taxonomy.from_paths("paths", PATHS)
PARTITION = partition_tree(TREE, {":".join(p): 5 for p in PATHS}, max_size=4)
PRIOR = np.array([0.1, 0.3, 0.1, 0.3, 0.18, 0.02])


def clinic(lesions, seed=0, prior=PRIOR):
    """Probabilities of an overconfident model, and the training class that is true."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(len(prior), size=lesions, p=prior)
    logits = rng.normal(0, 1.5, (lesions, len(prior))) + np.log(prior) / 2
    logits[np.arange(lesions), truth] += 1.5
    values = np.exp(2 * logits)
    return values / values.sum(axis=1, keepdims=True), truth


def fitted(level, values, truth, **options):
    cells = Cells(PARTITION, level)
    names = [str(k) for k in range(len(truth))]
    return fit_rule(cells, cells.values(values), cells.of_class[truth], names, **options)


class Given:
    """An estimator whose features are its probabilities, written apart from ours."""

    _estimator_type = "classifier"

    def __init__(self, width):
        self.classes_ = np.arange(width)

    def fit(self, x, y):
        return self

    def predict(self, x):
        return x.argmax(axis=1)

    def predict_proba(self, x):
        return x


def mapies_own_sets(values, truth, tested, score, coverage, *, last=True, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conformal = mapie.SplitConformalClassifier(
            Given(values.shape[1]), coverage, score, prefit=True, random_state=seed
        ).conformalize(values, truth)
        return conformal.predict_set(tested, {"include_last_label": last})[1][:, :, 0]


@pytest.mark.parametrize("score", ["lac", "aps"])
@pytest.mark.parametrize("level", [1, 2, LEAVES])
@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_sets_are_those_of_mapie_to_the_member(score, level, coverage):
    values, truth = clinic(400)
    tested, _ = clinic(300, 1)
    rule = fitted(level, values, truth, coverage=coverage, score=score)
    at_cells = rule.cells.values(tested)
    expected = mapies_own_sets(
        rule.cells.values(values), rule.cells.of_class[truth], at_cells, score, coverage
    )
    assert (rule.passing(at_cells) == expected).all()
    top = np.eye(len(rule.cells.ids), dtype=bool)[at_cells.argmax(axis=1)]
    assert (rule.apply_rows(tested) == (expected | top)).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.99])
def test_randomised_sets_are_those_of_mapie_to_the_member(coverage):
    values, truth = clinic(400)
    tested, _ = clinic(300, 1)
    rule = fitted(LEAVES, values, truth, coverage=coverage, score="aps_randomised", seed=5)
    draws = np.random.RandomState(5).uniform(size=len(tested))
    expected = mapies_own_sets(values, truth, tested, "aps", coverage, last="randomized", seed=5)
    assert (rule.passing(tested, draws) == expected).all()


def test_lac_takes_equal_probabilities_and_an_exact_threshold_as_mapie_does():
    values = np.array([[0.7, 0.2, 0.1]] * 9 + [[0.2, 0.4, 0.4]])
    truth = np.array([0] * 9 + [2])
    taxonomy = Taxonomy.from_paths("flat", [("a",), ("b",), ("c",)])
    cells = Cells(partition_tree(taxonomy, {"a": 1, "b": 1, "c": 1}, max_size=1), LEAVES)
    rule = fit_rule(cells, values, truth, [str(k) for k in range(10)], coverage=0.9)
    assert rule.quantiles[0].value == pytest.approx(0.6)
    tested = np.array([[0.4, 0.3, 0.3], [0.2, 0.4, 0.4], [0.4, 0.4, 0.2]])
    assert (rule.passing(tested) == mapies_own_sets(values, truth, tested, "lac", 0.9)).all()
    assert rule.passing(tested).tolist() == [[True, False, False], [False, True, True], [True, True, False]]


def brute(scores, coverage):
    """The k-th smallest of n scores, k = ceil((n + 1) coverage), counted one by one."""
    rank = int(np.ceil(round((len(scores) + 1) * coverage, 9)))
    return sorted(scores)[rank - 1]


@pytest.mark.parametrize("level", [2, LEAVES])
def test_each_class_has_the_quantile_of_its_own_lesions_or_of_the_nearest_node_above(level):
    values, truth = clinic(150, prior=np.array([0.3, 0.3, 0.02, 0.3, 0.06, 0.02]))
    rule = fitted(level, values, truth, per_class=True)
    cells = rule.cells
    at_cells, here = cells.values(values), cells.of_class[truth]
    scores = 1 - at_cells[np.arange(len(here)), here]
    shared = 0
    for k, q in enumerate(rule.quantiles):
        own = np.flatnonzero(here == k)
        if len(own) >= 10:
            assert q.shared_at is None
        else:
            shared += 1
            enough = [
                node for node in TREE.path(cells.nodes[k])
                if sum(TREE.covers(node, cells.nodes[j]) for j in here) >= 10
            ]  # fmt: skip
            assert q.shared_at == enough[-1]
            own = np.flatnonzero([TREE.covers(enough[-1], cells.nodes[j]) for j in here])
        assert q.lesions == len(own)
        assert q.value == pytest.approx(brute(scores[own], 0.9), abs=1e-12)
    assert shared >= 2
    assert {q.shared_at for q in rule.quantiles} == {None, "bad", "root"}


def test_one_quantile_for_all_comes_from_all_lesions():
    values, truth = clinic(150)
    rule = fitted(2, values, truth)
    assert {(q.shared_at, q.lesions) for q in rule.quantiles} == {("root", 150)}
    assert not rule.per_class


@pytest.mark.parametrize("score", ["lac", "aps_randomised"])
@pytest.mark.parametrize("level", [1, LEAVES])
def test_new_lesions_are_covered_as_often_as_asked(score, level):
    held, sizes = [], []
    for seed in range(30):
        values, truth = clinic(400, 2 * seed)
        rule = fitted(level, values, truth, score=score, seed=seed)
        tested, true = clinic(400, 2 * seed + 1)
        cases = [str(k) for k in range(400)] if score == "aps_randomised" else None
        members = rule.apply_rows(tested, cases)
        held.append(members[np.arange(400), rule.cells.of_class[true]].mean())
        sizes.append(members.sum(axis=1).mean())
    # Sets that are never empty may cover more; the standard error of the mean is .004.
    assert 0.888 <= np.mean(held) <= 0.93
    assert np.mean(sizes) < len(rule.cells.ids)


def test_a_class_with_enough_lesions_is_covered_by_its_own_quantile_and_not_by_the_common_one():
    rare = 0
    held = {True: [], False: []}
    for seed in range(30):
        values, truth = clinic(1500, 2 * seed)
        tested, true = clinic(1500, 2 * seed + 1)
        for per_class, found in held.items():
            members = fitted(LEAVES, values, truth, per_class=per_class).apply_rows(tested)
            found.append(members[true == rare, rare].mean())
    assert np.mean(held[True]) >= 0.88
    assert np.mean(held[False]) < np.mean(held[True]) - 0.03


def test_the_cover_holds_the_truth_at_least_as_often_as_the_set():
    values, truth = clinic(400)
    tested, true = clinic(400, 1)
    rule = fitted(LEAVES, values, truth)
    members = rule.apply_rows(tested)
    covers = rule.cells.cover(members)
    inside = [TREE.covers(TREE.ids[c], PARTITION.classes[t].node) for c, t in zip(covers, true, strict=True)]
    assert np.mean(inside) >= members[np.arange(400), true].mean()


def test_a_fitted_rule_answers_for_one_case_and_survives_being_written():
    values, truth = clinic(200)
    rule = fitted(2, values, truth, per_class=True, provenance={"cohort": "clinic"})
    tree = TreeProbabilities(TreeSums(PARTITION), LeafProbabilities(PARTITION.ids, values[0]))
    again = SetRule.from_dict(rule.to_dict(), PARTITION)
    assert again.apply(tree) == rule.apply(tree)
    assert again.provenance == {"cohort": "clinic"}


@pytest.mark.parametrize(("coverage", "least"), [(0.9, 10), (0.95, 20), (0.8, 5), (0.99, 100), (0.5, 2)])
def test_the_least_number_of_lesions_is_that_of_mapie(coverage, least):
    assert least_lesions(coverage) == least
    values, truth = clinic(least)
    assert fitted(1, values, truth, coverage=coverage).lesions == least
    with pytest.raises(TrainingError, match=f"{least - 1} lesions; .* at least {least}"):
        fitted(1, values[1:], truth[1:], coverage=coverage)


@pytest.mark.parametrize("coverage", [0, 0.49, 1, 1.5, -0.9, float("nan")])
def test_a_coverage_outside_a_half_to_one_is_refused(coverage):
    with pytest.raises(TrainingError, match="coverage is"):
        least_lesions(coverage)


def test_a_lesion_that_stands_twice_is_refused():
    values, truth = clinic(20)
    names = [str(k // 2) for k in range(20)]
    with pytest.raises(LeakageError, match="stands twice"):
        fit_rule(Cells(PARTITION, LEAVES), values, truth, names)


def spoilt(values, truth, where):
    values, truth = values.copy(), truth.copy()
    if where == "nan":
        values[0, 0] = np.nan
    elif where == "sum":
        values[0] *= 0.9
    elif where == "negative":
        values[0, :2] += (-2, 2)
    elif where == "unknown":
        truth[0] = -1
    elif where == "beyond":
        truth[0] = 6
    elif where == "rows":
        truth = truth[1:]
    else:
        values = values[:, 1:]
    return values, truth


@pytest.mark.parametrize("where", ["nan", "sum", "negative", "unknown", "beyond", "rows", "columns"])
def test_arrays_that_do_not_fit_are_refused(where):
    values, truth = spoilt(*clinic(20), where)
    with pytest.raises(ContractError):
        fit_rule(Cells(PARTITION, LEAVES), values, truth, [str(k) for k in range(len(truth))])


def test_without_mapie_the_extra_is_named(monkeypatch):
    values, truth = clinic(20)
    monkeypatch.setitem(sys.modules, "mapie.classification", None)
    with pytest.raises(MissingExtra, match=r"dxtree\[trust\]"):
        fitted(1, values, truth)


# --- one node ---------------------------------------------------------------------------------------------


def labels_of(truth):
    return [PARTITION.classes[k].node for k in truth]


def test_one_node_holds_the_label_as_often_as_asked():
    held, depths = [], []
    for seed in range(40):
        values, truth = clinic(400, 2 * seed)
        rule = fit_node_rule(PARTITION, values, labels_of(truth), [str(k) for k in range(400)])
        tested, true = clinic(400, 2 * seed + 1)
        nodes = [TREE.ids[k] for k in rule.apply_rows(tested)]
        held.append(np.mean([TREE.covers(n, x) for n, x in zip(nodes, labels_of(true), strict=True)]))
        depths.append(np.mean([TREE.node(n).depth for n in nodes]))
    assert 0.89 <= np.mean(held) <= 0.912
    assert np.mean(depths) > 0.5


def test_the_threshold_leaves_as_many_calibration_lesions_wrong_as_it_may():
    values, truth = clinic(99)
    rule = fit_node_rule(PARTITION, values, labels_of(truth), [str(k) for k in range(99)])
    nodes = [TREE.ids[k] for k in rule.apply_rows(values)]
    wrong = sum(not TREE.covers(n, x) for n, x in zip(nodes, labels_of(truth), strict=True))
    assert wrong == 9
    assert (rule.lesions, rule.coverage) == (99, 0.9)


def test_one_node_needs_as_many_lesions_as_a_set_and_each_once():
    values, truth = clinic(12)
    with pytest.raises(TrainingError, match="9 lesions"):
        fit_node_rule(PARTITION, values[:9], labels_of(truth[:9]), [str(k) for k in range(9)])
    with pytest.raises(LeakageError):
        fit_node_rule(PARTITION, values, labels_of(truth), ["a"] * 12)
    with pytest.raises(ContractError):
        fit_node_rule(PARTITION, values[1:], labels_of(truth), [str(k) for k in range(12)])
